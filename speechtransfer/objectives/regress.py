"""Regress: a number for each utterance, from frames pooled over time, trained with the mean squared error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, pstdev
from typing import Any

import torch
from torch import Tensor, nn

from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Utterance
from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.objectives.pooled import (
    Attention,
    Pooling,
    attention_for,
    hidden_layers,
    pool,
    pooled_width,
    resampled,
    through,
)
from speechtransfer.score import Scores, Transcription, score_grades
from speechtransfer.weights import Head


@dataclass(frozen=True)
class Scale:
    """Where the grades of the training rows lie; the output layer learns how many ``spread`` from the ``middle``.

    Attributes:
        middle: their mean.
        spread: their standard deviation.
    """

    middle: float
    spread: float

    def __post_init__(self) -> None:
        """Refuse a scale without extent.

        Raises:
            SettingsError: no finite middle, or a spread that is not above zero.
        """
        if not (math.isfinite(self.middle) and 0 < self.spread < math.inf):
            raise SettingsError(
                f"regress: middle={self.middle}, spread={self.spread}: both finite, the spread above 0."
            )


class Regress(Objective):
    """A graded label: how well a word was said, how old the speaker is; any number, whole or not.

    Args:
        scale: of the training rows; see ``from_rows``.
        field: the field of a row that holds the number.
        pooling: over the valid frames, as ``Classify``.
        hidden: widths of ReLU layers between pooling and output.
        dropout: before every layer.

    Raises:
        SettingsError: a share outside [0, 1), or a width below 1.
    """

    kind = "regress"
    select = ("mae", "min")

    def __init__(
        self,
        scale: Scale,
        field: str = "label",
        pooling: Pooling = "mean",
        hidden: Sequence[int] = (),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1 or min(hidden, default=1) < 1:
            raise SettingsError("regress: dropout must be in [0, 1), hidden widths above zero.")
        self.scale, self.field, self.pooling, self.hidden = scale, field, pooling, tuple(hidden)
        self.dropout = nn.Dropout(dropout)
        self.attention: Attention | None = None
        self.layers = nn.ModuleList()
        self.output: nn.Linear | None = None

    @classmethod
    def from_rows(cls, rows: Sequence[Utterance], field: str = "label", **more: Any) -> Regress:
        """With the scale of training rows.

        Raises:
            DataError: fewer than two different numbers.
        """
        grades = [grade for row in rows if (grade := as_grade(getattr(row, field))) is not None]
        if len(set(grades)) < 2:
            raise DataError(
                f"the training rows have {len(set(grades))} different numbers as {field}; two at least are needed."
            )
        return cls(Scale(fmean(grades), pstdev(grades)), field, **more)

    def attach(self, width: int, period: float) -> None:
        """Build pooling, hidden layers and the output layer (1, last width) for frames of any period."""
        self.attention = attention_for(width, self.pooling)
        pooled = pooled_width(width, self.pooling)
        self.layers = hidden_layers(pooled, self.hidden)
        self.output = nn.Linear((pooled, *self.hidden)[-1], 1)

    @property
    def heads(self) -> dict[str, Head]:
        """None: a number has no label by which a row could be grafted."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The scale and everything else that the constructor takes."""
        chosen = {"field": self.field, "pooling": self.pooling, "hidden": list(self.hidden)}
        return {"scale": asdict(self.scale), **chosen, "dropout": self.dropout.p}

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Regress:
        """The inverse of ``settings``; the head is built by ``attach``."""
        known = {name: value for name, value in values.items() if name != "kind"}
        return cls(**{**known, "scale": Scale(**known["scale"])})

    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """No label, one that is no number, or no frame at all."""
        value = getattr(utterance, self.field)
        if value is None:
            return f"no {self.field}"
        if as_grade(value) is None:
            return f"no number as {self.field}: {value}"
        return None if frames else "shorter than one frame"

    def _standardised(self, frames: Frames) -> Tensor:
        """(B,) in spreads from the middle."""
        if self.output is None:
            raise PlanError("regress: the head has no width yet. Transfer.apply gives it the encoder's.")
        x = pool(frames, self.pooling, self.attention)
        found: Tensor = self.output(self.dropout(through(self.layers, self.dropout, x))).squeeze(-1)
        return found

    def grades(self, frames: Frames) -> Tensor:
        """(B,) in the units of the labels."""
        return self.scale.middle + self.scale.spread * self._standardised(frames)

    def loss(self, frames: Frames, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Weighted mean over the items with a number of the squared error, in squared spreads."""
        found = self._standardised(frames).float()  # of half precision, years would be rounded to eights
        grades = [as_grade(value) for value in batch.fields[self.field]]
        chosen = [index for index, grade in enumerate(grades) if grade is not None]
        if not chosen:
            return {"regress": found.sum() * 0.0}
        said = torch.tensor([grade for grade in grades if grade is not None], device=found.device, dtype=found.dtype)
        losses = (found[chosen] - (said - self.scale.middle) / self.scale.spread).square()
        weight = batch.weight[chosen]
        return {"regress": (losses * weight).sum() / weight.sum()}

    def settle(self, train: Iterable[tuple[Frames, Batch]]) -> None:
        """Nothing: gradients teach all of it."""

    def finish(self, dev: Iterable[tuple[Frames, Batch]]) -> dict[str, Any]:
        """Nothing is chosen on dev."""
        return {}

    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """The number of each item with six digits, without a confidence: the mean squared error knows none."""
        return [Prediction(f"{grade:.6g}", None) for grade in self.grades(frames).tolist()]

    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """Errors and correlation: see ``score_grades``; intervals resample what ``resampled`` says.

        Raises:
            DataError: a row whose label is no number. Nothing is dropped from a test.
        """
        graded = []
        for row, group, prediction in zip(rows, resampled(rows), predictions, strict=True):
            said = getattr(row, self.field)
            if as_grade(said) is None:
                raise DataError(f"{row.id}: its {self.field} is {said!r}, no number, so nothing can be scored on it.")
            graded.append(Transcription(row.id, said, prediction.value, group))
        return score_grades(graded)


def as_grade(label: str | None) -> float | None:
    """The finite number that a label is; None where it is none."""
    try:
        grade = float(label) if label is not None else math.nan
    except ValueError:
        return None
    return grade if math.isfinite(grade) else None
