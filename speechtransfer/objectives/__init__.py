"""Objectives by the name that ``objective.json`` keeps."""

from speechtransfer.objectives.classify import Classify
from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.objectives.ctc_head import Ctc

KINDS: dict[str, type[Objective]] = {Ctc.kind: Ctc, Classify.kind: Classify}

__all__ = ["KINDS", "Classify", "Ctc", "Objective", "Prediction"]
