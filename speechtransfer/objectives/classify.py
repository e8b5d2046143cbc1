"""Classify: one label an utterance, from frames pooled over time, trained with cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.acceptance import Acceptance, fit_acceptance, fit_temperature
from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.frames import Batch, Frames, length_mask, masked_max, masked_mean
from speechtransfer.manifest import RESERVED, UNKNOWN, Utterance
from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.score import Scores, Transcription, score_labels
from speechtransfer.weights import Head

#: Seconds below which a window holds no word.
_SHORTEST_WINDOW = 0.5

Pooling = Literal["mean", "max", "attentive"]


class Attention(nn.Module):
    """Self-attentive pooling (Lin et al. 2017, arXiv:1703.03130, one hop): a learned weight for each frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.weigh = nn.Linear(width, 1, bias=False)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) and (B,) to (B, D); frames beyond the length weigh nothing."""
        scores = self.weigh(torch.tanh(self.project(values))).squeeze(-1)
        mask = length_mask(lengths.clamp(min=1), values.shape[1])
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        pooled: Tensor = (weights[..., None] * values).sum(1)
        return pooled


class Classify(Objective):
    """One of a closed set of labels.

    Args:
        labels: of the training rows, sorted; see ``from_rows``.
        field: the field of a row that holds the label.
        pooling: over the valid frames: their mean, their maximum, or a learned weighting.
        hidden: widths of ReLU layers between pooling and output.
        dropout: before every layer.
        smoothing: of the targets (Szegedy et al. 2016, arXiv:1512.00567, section 7): the share of the
            target that is spread over all labels.
        weights: of each label in the loss; None weighs all alike.
        acceptance: when a word counts as said; ``finish`` chooses its thresholds.

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
        self.words = tuple(label for label in labels if label not in RESERVED)
        if not self.words:
            raise SettingsError(f"classify: {', '.join(labels)}: none of the labels is a word.")
        self.dropout = nn.Dropout(dropout)
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
        """Build pooling, hidden layers and the output layer (labels, width) for frames of any period."""
        self.attention = Attention(width) if self.pooling == "attentive" else None
        sizes = (width, *self.hidden)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in zip(sizes, self.hidden, strict=False))
        self.output = nn.Linear(sizes[-1], len(self.labels))

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
        }

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Classify:
        """The inverse of ``settings``; the head is built by ``attach``."""
        known = {name: value for name, value in values.items() if name != "kind"}
        acceptance = Acceptance(**known.get("acceptance") or {})
        return cls(**{**known, "hidden": tuple(known["hidden"]), "acceptance": acceptance})

    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """No label, a label that is not among the known, or no frame at all."""
        value = getattr(utterance, self.field)
        if value is None:
            return f"no {self.field}"
        if value not in self.labels:
            return f"unknown {self.field}: {value}"
        return None if frames else "shorter than one frame"

    def logits(self, frames: Frames) -> Tensor:
        """(B, labels) before the softmax."""
        pools = {"mean": masked_mean, "max": masked_max, "attentive": self.attention}
        pool = pools[self.pooling]
        if pool is None:
            raise PlanError("classify: the head has no width yet. Transfer.apply gives it the encoder's.")
        x = pool(frames.values, frames.lengths)
        for layer in self.layers:
            x = functional.relu(layer(self.dropout(x)))
        logits: Tensor = self._layer()(self.dropout(x))
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

    def finish(self, dev: Iterable[tuple[Frames, Batch]]) -> dict[str, Any]:
        """Calibrate the probabilities on dev, and choose each word's threshold.

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
        temperature = fit_temperature(logits[known], targets)
        scores = self._word_scores(logits, temperature)
        spoken = [index for index, label in enumerate(said) if label in self.words]
        window = self.acceptance.window
        if window is None and spoken:
            window = max(_SHORTEST_WINDOW, math.ceil(10 * float(torch.quantile(seconds[spoken].double(), 0.95))) / 10)
        thresholds = fit_acceptance(scores, said, self.words, self.acceptance.rate)
        self.acceptance = Acceptance(thresholds, temperature, window, self.acceptance.rate)
        return {"acceptance": {**self.acceptance.as_dict(), "recordings": len(said)}}

    def word_scores(self, frames: Frames) -> Tensor:
        """(B, words) calibrated probabilities, in the order of ``words``; all labels together have 1."""
        return self._word_scores(self.logits(frames), self.acceptance.temperature)

    def _word_scores(self, logits: Tensor, temperature: float) -> Tensor:
        columns = [self.labels.index(word) for word in self.words]
        return (logits / temperature).softmax(-1)[:, columns]

    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """The likeliest label of each item with its calibrated probability, and those of all words."""
        logits = self.logits(frames)
        confidence, places = (logits / self.acceptance.temperature).softmax(-1).max(-1)
        scores = self._word_scores(logits, self.acceptance.temperature).tolist()
        found = []
        for place, sure, row in zip(places.tolist(), confidence.tolist(), scores, strict=True):
            by_word = {word: round(score, 6) for word, score in zip(self.words, row, strict=True)}
            accepted = self.acceptance.accepted(by_word) if self.acceptance.thresholds else None
            found.append(Prediction(self.labels[place], sure, by_word, accepted))
        return found

    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """Accuracy, macro-F1 and detection; intervals resample speakers where two or more are known, else utterances.

        A label that training never saw is an error, never a row left out. But where ``_unknown_`` was never a
        label, what reaches no threshold is heard as that: a closed set can name no stranger, only refuse it.

        Raises:
            DataError: a row without a label.
        """
        by_speaker = len({row.speaker for row in rows}) > 1 and all(row.speaker for row in rows)
        strangers = UNKNOWN not in self.labels and any(getattr(row, self.field) == UNKNOWN for row in rows)
        labelled = []
        for row, prediction in zip(rows, predictions, strict=True):
            said = getattr(row, self.field)
            if said is None:
                raise DataError(f"{row.id}: has no {self.field}, so nothing can be scored on it.")
            group = row.speaker if by_speaker and row.speaker else row.id
            scores, accepted, heard = dict(prediction.scores) or None, prediction.accepted, prediction.value
            if strangers and accepted is not None and heard not in accepted:
                heard = UNKNOWN
            labelled.append(Transcription(row.id, said, heard, group, scores=scores, accepted=accepted))
        return score_labels(labelled)
