"""Contrast: words as places on a sphere, learnt by comparing clips; a new word is the mean of a few of its clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.acceptance import Acceptance
from speechtransfer.errors import PlanError, SettingsError
from speechtransfer.frames import Batch, Frames
from speechtransfer.objectives.comparisons import COMPARISONS, prototype
from speechtransfer.objectives.nearest import Embedded, Nearest
from speechtransfer.objectives.pooled import (
    Attention,
    Pooling,
    attention_for,
    pool,
    pooled_width,
)
from speechtransfer.objectives.whitening import by_channel, within_words
from speechtransfer.weights import Head

Comparison = Literal["prototypes", "triplet", "ntxent", "siamese"]
Metric = Literal["within", "channels", "plain"]


class Contrast(Nearest):
    """Nearest prototype on the unit sphere, in an embedding that is learnt by comparing clips.

    Frames are pooled over time, centred and scaled by the training clips, projected, and normalised to length 1. A
    word's prototype is the mean of its training clips there, brought back to length 1, so that a word of one clip and
    a word of twenty are compared alike. The projection begins as the identity (or orthogonal, where it changes the
    width): with no step of training at all, this is the encoder's own metric.

    Args:
        labels: of the training rows, sorted; see ``from_rows``.
        field: the field of a row that holds the label.
        pooling: over the valid frames: their mean, their maximum, a learned weighting, or ``parts``: the means of
            both halves and the maximum.
        embedding: width of the projection; None keeps that of what is pooled.
        loss: what compares clips. ``prototypes``: episodes (Snell et al. 2017, arXiv:1703.05175, equation 2), where
            of each word's clips in a batch the first half, rounded down, is the support, and the others are queries.
            ``triplet`` (Schroff et al. 2015, arXiv:1503.03832, equation 3) over all triplets of a batch that
            violate the margin. ``ntxent`` (Chen et al. 2020, arXiv:2002.05709, equation 1). ``siamese`` over all pairs
            (after Hadsell et al. 2006, "Dimensionality reduction by learning an invariant mapping", equation 4, but
            of distances, not of their squares).
        temperature: what divides squared distances (``prototypes``) and cosines (``ntxent``) in the loss.
        margin: by which, in Euclidean distance, another word's clip should be farther than one's own (``triplet``),
            and beyond which pairs of different words cost nothing (``siamese``).
        dropout: before the projection.
        metric: how what was pooled is centred on the mean of the training clips and scaled: ``within``, so that what
            differs between clips of one word counts less (see ``within_words``; as ``channels`` while no word has
            two clips), ``channels``, each channel to about variance 1, or ``plain``, not at all.
        acceptance: when a word counts as said; ``finish`` chooses its thresholds.

    Raises:
        SettingsError: fewer than two labels, a repeated one, or values that cannot be.
    """

    kind = "contrast"
    centre: Tensor
    whiten: Tensor
    prototypes: Tensor

    def __init__(
        self,
        labels: Sequence[str],
        field: str = "label",
        pooling: Pooling = "mean",
        embedding: int | None = None,
        loss: Comparison = "prototypes",
        temperature: float = 0.1,
        margin: float = 0.5,
        dropout: float = 0.1,
        metric: Metric = "within",
        acceptance: Acceptance | None = None,
    ) -> None:
        super().__init__(labels, field, acceptance)
        for name, value, known in (
            ("pooling", pooling, Pooling),
            ("loss", loss, Comparison),
            ("metric", metric, Metric),
        ):
            if value not in get_args(known):
                raise SettingsError(f"contrast: {name}={value!r} is none of {', '.join(get_args(known))}.")
        if not temperature > 0 or not margin > 0 or not 0 <= dropout < 1 or (embedding is not None and embedding < 1):
            raise SettingsError(
                "contrast: temperature, margin and embedding must be above zero, and dropout in [0, 1)."
            )
        self.pooling, self.embedding = pooling, embedding
        self.comparison, self.temperature, self.margin = loss, temperature, margin
        self.metric = metric
        self.dropout = nn.Dropout(dropout)
        self.attention: Attention | None = None
        self.project: nn.Linear | None = None

    def attach(self, width: int, period: float) -> None:
        """Build pooling, the projection (embedding, pooled width), and room for a prototype of every label."""
        self.make_room()
        self.attention = attention_for(width, self.pooling)
        self._width, width = width, pooled_width(width, self.pooling)
        size = self.embedding or width
        self.project = nn.Linear(width, size, bias=False)
        (nn.init.eye_ if size == width else nn.init.orthogonal_)(self.project.weight)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("whiten", torch.eye(width))
        self.register_buffer("prototypes", torch.zeros(len(self.labels), size))

    def _projection(self) -> nn.Linear:
        if self.project is None:
            raise PlanError("contrast: the head has no width yet. Transfer.apply gives it the encoder's.")
        return self.project

    @property
    def heads(self) -> dict[str, Head]:
        """None: a prototype is no row of an output layer."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Labels, in the order of their prototypes, and everything else that the constructor takes."""
        return {
            "labels": list(self.labels),
            "field": self.field,
            "pooling": self.pooling,
            "embedding": self.embedding,
            "loss": self.comparison,
            "temperature": self.temperature,
            "margin": self.margin,
            "dropout": self.dropout.p,
            "metric": self.metric,
            "acceptance": self.acceptance.as_dict(),
        }

    def embed(self, frames: Frames) -> Tensor:
        """(B, embedding), each of length 1."""
        return self._placed(pool(frames, self.pooling, self.attention))

    def _placed(self, pooled: Tensor) -> Tensor:
        project = self._projection()
        scaled = (pooled - self.centre) @ self.whiten
        return functional.normalize(project(self.dropout(scaled)), dim=-1)

    def loss(self, frames: Frames, batch: Batch, progress: float) -> dict[str, Tensor]:
        """The comparison of the items that have a label and a weight above zero; other weights count alike.

        A batch in which nothing can be compared (one word, or each word once) gives a zero attached to the graph.
        """
        embedded = self.embed(frames).float()
        values, weights = batch.fields[self.field], batch.weight.tolist()
        chosen = [index for index, value in enumerate(values) if value is not None and weights[index] > 0]
        said = torch.tensor([self.labels.index(str(values[index])) for index in chosen], device=embedded.device)
        compared = COMPARISONS[self.comparison](embedded[chosen], said.long(), self.temperature, self.margin)
        return {self.comparison: compared + embedded.sum() * 0.0}

    def settle(self, train: Iterable[tuple[Frames, Batch]]) -> None:
        """Centre and scale by the training clips, and make every word's prototype of its own."""
        heard = [(pool(frames, self.pooling, self.attention), batch.fields[self.field]) for frames, batch in train]
        pooled = torch.cat([one for one, _ in heard])
        said = [self.labels.index(value) if value in self.labels else -1 for _, values in heard for value in values]
        words = torch.tensor(said, device=pooled.device)
        pooled, words = pooled[words >= 0], words[words >= 0]
        if self.metric != "plain":
            whiten = within_words(pooled, words) if self.metric == "within" else None
            self.centre.copy_(pooled.mean(0))
            self.whiten.copy_(by_channel(pooled) if whiten is None else whiten)
        embedded = self._placed(pooled)
        for place in range(len(self.labels)):
            own = embedded[words == place]
            self.clips[place] = len(own)
            self.prototypes[place] = prototype(own) if len(own) else 0.0

    def enrolled(self, label: str, embedded: Embedded) -> Contrast:
        """A copy with the prototype of ``label``, from embeddings (N, embedding) of its clips; see ``Nearest``."""
        labels = self.labels if label in self.labels else (*self.labels, label)
        place, added = labels.index(label), len(labels) - len(self.labels)
        again = Contrast.from_settings({**self.settings(), "labels": labels})
        again.attach(self._width, 0.0)
        state = {name: value.clone() for name, value in self.state_dict().items()}
        for name in ("prototypes", "clips"):
            state[name] = torch.cat([state[name], state[name][:added]])
        state["prototypes"][place] = prototype(torch.stack(tuple(embedded)))
        state["clips"][place] = len(embedded)
        again.load_state_dict(state)
        again.acceptance = self.accepting(label)
        return again.eval()

    def squared_distances(self, embedded: Embedded, place: int) -> Tensor:
        """(B,) Euclidean, of embeddings (B, E), to a word's prototype.

        Computed by itself, without a matrix product, whose rounding depends on how many words there are.
        """
        squared: Tensor = (torch.stack(tuple(embedded)) - self.prototypes[place]).square().sum(-1)
        return squared
