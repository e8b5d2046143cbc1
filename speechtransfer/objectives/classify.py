"""Classify: one label an utterance, from frames pooled over time, trained with cross-entropy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.acceptance import Acceptance
from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import RESERVED, Utterance
from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.objectives.pooled import (
    Attention,
    LayerMix,
    Pooling,
    attention_for,
    hidden_layers,
    pool,
    pooled_width,
    predicted,
    score_predictions,
    through,
    unlabelled,
)
from speechtransfer.score import Scores
from speechtransfer.weights import Head


class Classify(Objective):
    """One of a closed set of labels.

    Args:
        labels: of the training rows, sorted; see ``from_rows``.
        field: the field of a row that holds the label.
        pooling: over the valid frames: their mean, their maximum, a learned weighting, or ``parts``: the means of
            both halves and the maximum.
        hidden: widths of ReLU layers between pooling and output.
        dropout: before every layer.
        smoothing: of the targets (Szegedy et al. 2016, arXiv:1512.00567, section 7): the share of the
            target that is spread over all labels.
        weights: of each label in the loss; None weighs all alike.
        acceptance: when a word counts as said; ``finish`` chooses its thresholds.
        layers: blocks of the encoder, of which a learned weighted sum is pooled; none is the last block alone.

    Raises:
        SettingsError: fewer than two labels, a repeated one, no word among them, or weights that do not fit them.
    """

    kind = "classify"
    select = ("accuracy", "max")

    def __init__(
        self,
        labels: Sequence[str],
        field: str = "label",
        pooling: Pooling = "mean",
        hidden: tuple[int, ...] = (),
        dropout: float = 0.1,
        smoothing: float = 0.0,
        weights: Sequence[float] | None = None,
        acceptance: Acceptance | None = None,
        layers: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise SettingsError(f"classify: {len(set(labels))} different labels in {len(labels)}; give two or more.")
        if weights is not None and (len(weights) != len(labels) or min(weights) < 0 or not sum(weights)):
            raise SettingsError(f"classify: {len(weights)} weights for {len(labels)} labels, or one below zero.")
        if pooling not in get_args(Pooling):
            raise SettingsError(f"classify: pooling={pooling!r} is none of {', '.join(get_args(Pooling))}.")
        if not 0 <= smoothing < 1 or not 0 <= dropout < 1 or min(hidden, default=1) < 1:
            raise SettingsError("classify: smoothing and dropout must be in [0, 1), hidden widths above zero.")
        self.labels, self.field, self.pooling, self.hidden = tuple(labels), field, pooling, tuple(hidden)
        self.smoothing, self.weights = smoothing, None if weights is None else tuple(weights)
        self.acceptance = acceptance or Acceptance()
        self.taps = tuple(layers)
        self.words = tuple(label for label in labels if label not in RESERVED)
        if not self.words:
            raise SettingsError(f"classify: {', '.join(labels)}: none of the labels is a word.")
        self.dropout = nn.Dropout(dropout)
        self.mix = LayerMix(layers) if layers else None
        self.attention: Attention | None = None
        self.layers = nn.ModuleList()
        self.output: nn.Linear | None = None

    @classmethod
    def from_rows(
        cls,
        rows: Sequence[Utterance],
        field: str = "label",
        balanced: bool = False,
        acceptance: Acceptance | None = None,
        **more: Any,
    ) -> Classify:
        """The labels of training rows; ``balanced`` weighs a label by the inverse of its count (King and Zeng 2001).

        Raises:
            DataError: fewer than two labels.
        """
        given = [value for row in rows if (value := getattr(row, field)) is not None]
        labels = sorted(set(given))
        if len(labels) < 2:
            raise DataError(f"the training rows have {len(labels)} different {field}s; two at least are needed.")
        weights = [len(given) / len(labels) / given.count(label) for label in labels] if balanced else None
        return cls(labels, field, weights=weights, acceptance=acceptance, **more)

    def attach(self, width: int, period: float) -> None:
        """Build pooling, hidden layers and the output layer (labels, last width) for frames of any period."""
        self.attention = attention_for(width, self.pooling)
        pooled = pooled_width(width, self.pooling)
        self.layers = hidden_layers(pooled, self.hidden)
        self.output = nn.Linear((pooled, *self.hidden)[-1], len(self.labels))

    def _layer(self) -> nn.Linear:
        if self.output is None:
            raise PlanError("classify: the head has no width yet. Transfer.apply gives it the encoder's.")
        return self.output

    @property
    def heads(self) -> dict[str, Head]:
        """The output layer with its labels."""
        layer = self._layer()
        return {"output": Head(layer.weight, layer.bias, self.labels, None)}

    def settings(self) -> dict[str, Any]:
        """Labels and everything else that the constructor takes."""
        return {
            "labels": list(self.labels),
            "field": self.field,
            "pooling": self.pooling,
            "hidden": list(self.hidden),
            "dropout": self.dropout.p,
            "smoothing": self.smoothing,
            "weights": None if self.weights is None else list(self.weights),
            "acceptance": self.acceptance.as_dict(),
            "layers": list(self.taps),
        }

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Classify:
        """The inverse of ``settings``; the head is built by ``attach``."""
        known = {name: value for name, value in values.items() if name != "kind"}
        acceptance = Acceptance(**known.get("acceptance") or {})
        return cls(**{**known, "hidden": tuple(known["hidden"]), "acceptance": acceptance})

    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """No label, a label that is not among the known, or no frame at all."""
        return unlabelled(utterance, self.field, self.labels, frames)

    def logits(self, frames: Frames) -> Tensor:
        """(B, labels) before the softmax."""
        x = pool(frames if self.mix is None else self.mix(frames), self.pooling, self.attention)
        logits: Tensor = self._layer()(self.dropout(through(self.layers, self.dropout, x)))
        return logits

    def loss(self, frames: Frames, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Weighted mean over the items with a label of the cross-entropy."""
        logits = self.logits(frames)
        values = batch.fields[self.field]
        chosen = [index for index, value in enumerate(values) if value is not None]
        if not chosen:
            return {"classify": logits.sum() * 0.0}
        places = {label: index for index, label in enumerate(self.labels)}
        targets = torch.tensor([places[value] for value in values if value is not None], device=logits.device)
        losses = functional.cross_entropy(logits[chosen], targets, reduction="none", label_smoothing=self.smoothing)
        weight = batch.weight[chosen]
        if self.weights is not None:
            weight = weight * torch.tensor(self.weights, device=weight.device, dtype=weight.dtype)[targets]
        return {"classify": (losses * weight).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)}

    def settle(self, train: Iterable[tuple[Frames, Batch]]) -> None:
        """Nothing: gradients teach all of it."""

    def finish(self, dev: Iterable[tuple[Frames, Batch]]) -> dict[str, Any]:
        """Calibrate the probabilities on dev, and choose each word's threshold; few recordings give all words one.

        Where no window is given, it is chosen to hold 95 of 100 of dev's words.

        Returns:
            ``acceptance``: what was chosen, and on how many recordings.
        """
        heard = [(self.logits(frames).cpu(), frames.lengths * frames.period, batch) for frames, batch in dev]
        said = [label for _, _, batch in heard for label in batch.fields[self.field]]
        known = [index for index, label in enumerate(said) if label in self.labels]
        if not known:
            return {}
        logits, seconds = torch.cat([one for one, _, _ in heard]), torch.cat([one.cpu() for _, one, _ in heard])
        targets = torch.tensor([self.labels.index(str(said[index])) for index in known])
        fitted = self.acceptance.fitted(logits[known], targets)
        scores = fitted.word_scores(logits, self._columns)
        alike = fitted.by == "probability"
        self.acceptance = fitted.chosen(scores, said, self.words, seconds.tolist(), alike)
        return {"acceptance": {**self.acceptance.as_dict(), "recordings": len(said)}}

    @property
    def _columns(self) -> list[int]:
        return [self.labels.index(word) for word in self.words]

    def word_scores(self, frames: Frames) -> Tensor:
        """(B, words) in [0, 1], in the order of ``words``: calibrated probabilities, or energies."""
        return self.acceptance.word_scores(self.logits(frames), self._columns)

    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """The likeliest label of each item with its calibrated probability, and the scores of all words."""
        logits = self.logits(frames)
        confidence, places = (logits / self.acceptance.temperature).softmax(-1).max(-1)
        scores = self.acceptance.word_scores(logits, self._columns)
        likeliest = [self.labels[place] for place in places.tolist()]
        return predicted(likeliest, confidence.tolist(), self.words, scores, self.acceptance)

    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """Accuracy, macro-F1 and detection: see ``score_predictions``.

        Raises:
            DataError: a row without a label.
        """
        return score_predictions(rows, predictions, self.field, self.labels)
