"""Objectives by the name that ``objective.json`` keeps."""

from speechtransfer.objectives.classify import Classify
from speechtransfer.objectives.combine import Sum
from speechtransfer.objectives.contract import KINDS, Objective, Prediction
from speechtransfer.objectives.contrast import Contrast
from speechtransfer.objectives.ctc_head import Ctc
from speechtransfer.objectives.distil import Distil
from speechtransfer.objectives.match import Match
from speechtransfer.objectives.nearest import Nearest
from speechtransfer.objectives.regress import Regress

KINDS.update({one.kind: one for one in (Ctc, Classify, Contrast, Distil, Match, Regress, Sum)})

__all__ = [
    "KINDS",
    "Classify",
    "Contrast",
    "Ctc",
    "Distil",
    "Match",
    "Nearest",
    "Objective",
    "Prediction",
    "Regress",
    "Sum",
]
