"""The contract of every objective: it owns its head, its vocabulary and its decoding, which change together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

from torch import Tensor, nn

from speechtransfer.acceptance import Acceptance
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Utterance
from speechtransfer.score import Scores
from speechtransfer.text import TextContract
from speechtransfer.weights import Head


@dataclass(frozen=True)
class Prediction:
    """What an objective makes of one item.

    Attributes:
        value: its text, label or number.
        confidence: in [0, 1]; None where the objective has none.
        scores: of each word that can be spotted, in [0, 1].
        accepted: the words whose score reaches their threshold; None where there are no thresholds.
    """

    value: str
    confidence: float | None
    scores: Mapping[str, float] = field(default_factory=dict)
    accepted: tuple[str, ...] | None = None


class Objective(nn.Module, ABC):
    """Turns frames into a loss, predictions and scores.

    Attributes:
        kind: the name that ``objective.json`` keeps.
        field: the field of a batch that it learns from.
        select: metric and direction (``min`` or ``max``) by which the best model is chosen on dev.
        taps: blocks whose outputs it reads beside the last.
        only: field values to which it is restricted.
        apart: fields by whose values utterances are divided among its parts; what is joined has one value of each.
        contract: what texts pass before they are learnt or compared; None where it learns none.
    """

    kind: str
    field: str
    select: tuple[str, str]
    taps: tuple[str, ...] = ()
    only: Mapping[str, str] = {}
    apart: tuple[str, ...] = ()
    contract: TextContract | None = None

    @abstractmethod
    def attach(self, width: int, period: float) -> None:
        """Build the head for frames of ``width`` channels every ``period`` seconds, in place."""

    @property
    @abstractmethod
    def heads(self) -> dict[str, Head]:
        """The output layers that answer, as they are now, by their module's name inside the objective.

        Their parameters are that name with ``.weight`` and ``.bias``.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Plain values for ``objective.json``, from which ``from_settings`` rebuilds it without weights."""

    @classmethod
    @abstractmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``settings``."""

    @abstractmethod
    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """Why an utterance of ``frames`` frames cannot be trained on, or None where it can."""

    @abstractmethod
    def loss(self, frames: Frames, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Scalars by name, a mean over the items that have the field; their sum is minimised.

        ``progress`` runs from 0 to 1 over the training. With no such item: a zero attached to the graph.
        """

    @abstractmethod
    def settle(self, train: Iterable[tuple[Frames, Batch]]) -> None:
        """Take from the training rows as a whole, heard clean, what gradients do not teach: prototypes.

        Called before the first step and before every scoring of dev, so that the best weights keep what was settled
        with them. What is not asked of ``train`` is not computed.
        """

    @abstractmethod
    def finish(self, dev: Iterable[tuple[Frames, Batch]]) -> dict[str, Any]:
        """Choose on dev, after training, what gradients do not teach; gives entries of ``metrics.json``."""

    @abstractmethod
    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """One prediction an item."""

    @abstractmethod
    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """Metrics with intervals of predictions against their utterances, in order."""


@runtime_checkable
class Spots(Protocol):
    """What an objective has that spots words in a stream.

    Attributes:
        labels: the words, and what else it tells from them.
        words: in the order of their scores.
        acceptance: when one counts as said.
    """

    labels: tuple[str, ...]
    words: tuple[str, ...]
    acceptance: Acceptance

    def word_scores(self, frames: Frames) -> Tensor:
        """(B, words) in [0, 1]."""


#: Every kind of objective by the name that ``objective.json`` keeps; the package fills it.
KINDS: dict[str, type[Objective]] = {}
