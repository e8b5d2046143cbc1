"""Objectives by the name that ``objective.json`` keeps."""

from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.objectives.ctc_head import Ctc

KINDS: dict[str, type[Objective]] = {Ctc.kind: Ctc}

__all__ = ["KINDS", "Ctc", "Objective", "Prediction"]
