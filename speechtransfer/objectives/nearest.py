"""What objectives share that know a word by the nearest recordings of it: confidence, thresholds, enrolment."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Self

import torch
from torch import Tensor

from speechtransfer.acceptance import Acceptance
from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import RESERVED, Utterance
from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.objectives.pooled import predicted, score_predictions, unlabelled
from speechtransfer.score import Scores

#: What is compared of each of B clips: a row, or a tensor of its own where they are not of one shape.
Embedded = Tensor | list[Tensor]
#: What ``finish`` tries as the scale of squared distances, which are between 0 and 4.
_SCALES = tuple(0.02 * 1.1**step for step in range(60))


class Nearest(Objective):
    """A word is what a clip is nearest to, by squared distances in [0, 4] between things of length 1.

    What a word scores depends on its own recordings and the clip alone: words that are added change no other's score.

    Args:
        labels: of the training rows, sorted; see ``from_rows``.
        field: the field of a row that holds the label.
        acceptance: when a word counts as said; ``finish`` chooses its thresholds.

    Raises:
        SettingsError: fewer than two labels, a repeated one, or none that is a word.
    """

    select = ("accuracy", "max")
    clips: Tensor
    scale: Tensor

    def __init__(self, labels: Sequence[str], field: str, acceptance: Acceptance | None) -> None:
        super().__init__()
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise SettingsError(f"{self.kind}: {len(set(labels))} different labels in {len(labels)}; give two or more.")
        self.labels, self.field, self.acceptance = tuple(labels), field, acceptance or Acceptance()
        self.words = tuple(label for label in labels if label not in RESERVED)
        if not self.words:
            raise SettingsError(f"{self.kind}: {', '.join(labels)}: none of the labels is a word.")

    @classmethod
    def from_rows(cls, rows: Sequence[Utterance], field: str = "label", **more: Any) -> Self:
        """The labels of training rows.

        Raises:
            DataError: fewer than two labels.
        """
        labels = sorted({value for row in rows if (value := getattr(row, field)) is not None})
        if len(labels) < 2:
            raise DataError(f"the training rows have {len(labels)} different {field}s; two at least are needed.")
        return cls(labels, field, **more)

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``settings``; what was heard of each word is loaded with the weights."""
        known = {name: value for name, value in values.items() if name != "kind"}
        return cls(**{**known, "acceptance": Acceptance(**known.get("acceptance") or {})})

    def make_room(self) -> None:
        """Buffers for the scale of the confidence, and for how many clips each label has; ``attach`` calls it."""
        self.register_buffer("clips", torch.zeros(len(self.labels), dtype=torch.int64))
        self.register_buffer("scale", torch.ones(()))

    @abstractmethod
    def embed(self, frames: Frames) -> Embedded:
        """What is compared of each of B items."""

    @abstractmethod
    def squared_distances(self, embedded: Embedded, place: int) -> Tensor:
        """(B,) of what ``embed`` gives to the word in that place, which has a clip."""

    @abstractmethod
    def enrolled(self, label: str, embedded: Embedded) -> Self:
        """A copy that also knows ``label``, as its last, or knows it anew, from what ``embed`` gives of its clips.

        Everything that is there of other words is what it was, bit for bit. A word without clips on dev has no
        threshold of its own: it takes the middle one of those there are.
        """

    def accepting(self, label: str) -> Acceptance:
        """The acceptance with a threshold for a word that was added without clips on dev."""
        thresholds = dict(self.acceptance.thresholds)
        if thresholds:
            thresholds[label] = median(thresholds.values())
        return replace(self.acceptance, thresholds=thresholds)

    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """No label, a label that is not among the known, or no frame at all."""
        return unlabelled(utterance, self.field, self.labels, frames)

    def finish(self, dev: Iterable[tuple[Frames, Batch]]) -> dict[str, Any]:
        """Choose the scale of the confidence, under which dev's words are likeliest, and each word's threshold.

        Each clip of dev is asked of each word whether it is that word; the answers' cross-entropy weighs all that are
        right as much as all that are wrong together. The scale is saved with the weights.

        Returns:
            ``acceptance``: what was chosen, and on how many recordings.
        """
        distances: list[Tensor] = []
        said: list[str | None] = []
        seconds: list[float] = []
        for frames, batch in dev:
            distances.append(self.distances(self.embed(frames)).double())
            said += batch.fields[self.field]
            seconds += (frames.lengths * frames.period).tolist()
        if not distances:
            return {}
        squared = torch.cat(distances).cpu()
        same = torch.tensor([[value == label for label in self.labels] for value in said])
        same, other = same & squared.isfinite(), ~same & squared.isfinite()
        if not same.any() or not other.any():
            return {}

        def cost(scale: float) -> float:
            odds = -squared / scale
            wrong = torch.log1p(-odds.exp().clamp(max=1 - 1e-9))
            return -float(odds[same].mean() + wrong[other].mean())

        self.scale.fill_(min(_SCALES, key=cost))
        scores = self._word_scores(squared.to(self.scale))
        self.acceptance = self.acceptance.chosen(scores.cpu(), said, self.words, seconds)
        return {"acceptance": {**self.acceptance.as_dict(), "recordings": len(said)}}

    def word_scores(self, frames: Frames) -> Tensor:
        """(B, words) exp(-d^2 / scale) of the distance d to each word; other words change none."""
        return self._word_scores(self.distances(self.embed(frames)))

    def _word_scores(self, squared: Tensor) -> Tensor:
        columns = [self.labels.index(word) for word in self.words]
        return (-squared[:, columns] / self.scale).exp()

    def distances(self, embedded: Embedded) -> Tensor:
        """(B, labels) squared distances of what ``embed`` gives, infinite to a word without a clip.

        Raises:
            PlanError: no clip was heard yet.
        """
        if not self.clips.any():
            raise PlanError(f"{self.kind}: no clip was heard yet. evaluate.settle lets it hear the training rows.")
        infinite = self.scale.new_full((len(embedded),), torch.inf)
        heard = [bool(count) for count in self.clips.tolist()]
        columns = [self.squared_distances(embedded, n) if known else infinite for n, known in enumerate(heard)]
        return torch.stack(columns, 1)

    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """The nearest word; confidence is exp(-d^2 / scale) of the distance d to it alone."""
        squared = self.distances(self.embed(frames))
        nearest, places = squared.min(1)
        sure, values = (-nearest / self.scale).exp(), [self.labels[place] for place in places.tolist()]
        return predicted(values, sure.tolist(), self.words, self._word_scores(squared), self.acceptance)

    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """Accuracy, macro-F1 and detection: see ``score_predictions``.

        Raises:
            DataError: a row without a label.
        """
        return score_predictions(rows, predictions, self.field, self.labels)
