"""Match: words as recordings of them; a clip is the word whose recordings it fits best, frame by frame in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.acceptance import Acceptance
from speechtransfer.errors import PlanError, SettingsError
from speechtransfer.frames import Batch, Frames, tapped
from speechtransfer.manifest import RESERVED
from speechtransfer.objectives.nearest import Embedded, Nearest
from speechtransfer.objectives.warping import nearest_stretches
from speechtransfer.objectives.whitening import discriminant
from speechtransfer.weights import Head

Learnt = Literal["within", "source"]
#: Parts of a word, each as long, whose frames are alike when a metric is learnt.
_STATES = 8
#: Directions of a metric. Of ten words in eight parts, 55 to 70 were as good.
_DIRECTIONS = 64


class Match(Nearest):
    """Nearest recordings by dynamic time warping, in directions that tell parts of words apart, whoever says them.

    Nothing is trained by gradients. Frames are projected and brought to length 1; a word's distance is the mean over
    its recordings of what ``nearest_stretches`` gives. What the ear of one recording cannot know, how differently
    people say one word, the projection brings along: it is learnt from recordings of other words, by other people, in
    another language, and grafted from there like an output layer.

    Args:
        labels: of the training rows, sorted; see ``from_rows``. Those of no word are left out: background fits the
            quietest frame of any clip, and strangers have nothing in common. Both are what reaches no threshold.
        field: the field of a row that holds the label.
        metric: ``within`` learns the projection from the training clips, of which each is cut into eight parts of one
            length (see ``discriminant``); ``source`` takes that of the source, a run that learnt one.
        embedding: directions of the projection; None is 64. Under ``source`` give as many as the source has.
        layers: blocks of the encoder whose frames stand side by side in the place of the last's alone.
        most: recordings of a word that are kept to compare with, evenly among those there are.
        acceptance: when a word counts as said; ``finish`` chooses its thresholds.
        kept: of how many recordings there is room, and of how many frames each; for what is loaded.

    Raises:
        SettingsError: fewer than two words, a repeated one, or values that cannot be.
    """

    kind = "match"
    recordings: Tensor
    frames: Tensor
    places: Tensor

    def __init__(
        self,
        labels: Sequence[str],
        field: str = "label",
        metric: Learnt = "within",
        embedding: int | None = None,
        layers: Sequence[str] = (),
        most: int = 20,
        acceptance: Acceptance | None = None,
        kept: Sequence[int] = (0, 0),
    ) -> None:
        super().__init__([label for label in labels if label not in RESERVED], field, acceptance)
        if metric not in get_args(Learnt):
            raise SettingsError(f"match: metric={metric!r} is none of {', '.join(get_args(Learnt))}.")
        if most < 1 or (embedding is not None and embedding < 1):
            raise SettingsError("match: most and embedding must be above zero.")
        if len(kept) != 2 or not all(isinstance(size, int) and size >= 0 for size in kept):
            raise SettingsError(f"match: kept={kept} must be two numbers: of recordings, and of frames of the longest.")
        self.metric, self.embedding, self.most, self.kept = metric, embedding, most, tuple(kept)
        self.taps = tuple(layers)
        self.project: nn.Linear | None = None

    def attach(self, width: int, period: float) -> None:
        """Build the projection, all zeros until it is grafted or learnt, and room for recordings.

        It is (embedding, width), or as many times wider as there are layers.
        """
        self.make_room()
        self._width, size = width, self.embedding or _DIRECTIONS
        self.project = nn.Linear(width * max(1, len(self.taps)), size)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        count, longest = self.kept
        self.register_buffer("recordings", torch.zeros(count, longest, size))
        self.register_buffer("frames", torch.zeros(count, dtype=torch.int64))
        self.register_buffer("places", torch.zeros(count, dtype=torch.int64))

    def _projection(self) -> nn.Linear:
        if self.project is None:
            raise PlanError("match: the head has no width yet. Transfer.apply gives it the encoder's.")
        return self.project

    @property
    def heads(self) -> dict[str, Head]:
        """The projection, a direction an output: another match takes it as it is, a recogniser finds no letter."""
        project = self._projection()
        labels = tuple(f"direction {number}" for number in range(project.out_features))
        return {"project": Head(project.weight, project.bias, labels, None)}

    def settings(self) -> dict[str, Any]:
        """Labels, in the order of their places, and everything else that the constructor takes."""
        return {
            "labels": list(self.labels),
            "field": self.field,
            "metric": self.metric,
            "embedding": self.embedding,
            "layers": list(self.taps),
            "most": self.most,
            "acceptance": self.acceptance.as_dict(),
            "kept": list(self.kept),
        }

    def loss(self, frames: Frames, batch: Batch, progress: float) -> dict[str, Tensor]:
        """None: nothing is learnt by steps.

        Raises:
            PlanError: it is asked for.
        """
        raise PlanError(
            "match: compares recordings as they are, so steps teach it nothing. Leave out --steps and --minutes, or "
            "give settings.steps=0 and settings.epochs=none."
        )

    def settle(self, train: Iterable[tuple[Frames, Batch]]) -> None:
        """Learn the projection where it is learnt here, and keep recordings of every word.

        Raises:
            PlanError: the source was to bring the projection, and has none.
            DataError: too few clips to learn one.
        """
        heard: dict[int, list[Tensor]] = {place: [] for place in range(len(self.labels))}
        for frames, batch in train:
            for clip, label in zip(self._clips(frames), batch.fields[self.field], strict=True):
                if label in self.labels:
                    heard[self.labels.index(str(label))].append(clip)
        project = self._projection()
        if self.metric == "within":
            self._learn(heard)
        elif not project.weight.any():
            raise PlanError(
                f"match: metric=source, but no metric of {project.out_features} directions was grafted from it. Give "
                "the run folder of a match that learnt one (keywords.metric=within), transfer.graft=shared and no "
                "transfer.cut, which voids it; or learn it here with keywords.metric=within."
            )
        chosen = {place: _evenly(clips, self.most) for place, clips in heard.items()}
        self.clips.copy_(torch.tensor([len(clips) for clips in heard.values()]))
        self._keep({place: [self._placed(clip) for clip in clips] for place, clips in chosen.items()})

    def _learn(self, heard: dict[int, list[Tensor]]) -> None:
        values = torch.cat([clip for clips in heard.values() for clip in clips])
        parts = [
            place * _STATES + torch.arange(len(clip), device=clip.device) * _STATES // len(clip)
            for place, clips in heard.items()
            for clip in clips
        ]
        project = self._projection()
        directions = discriminant(values, torch.cat(parts), project.out_features)
        with torch.no_grad():
            project.weight.copy_(directions.T)
            project.bias.copy_(-(values.mean(0) @ directions))

    def _keep(self, placed: dict[int, list[Tensor]]) -> None:
        """Take recordings (N, embedding) of each label, by its place, in the place of all there were."""
        flat = [(place, one) for place, ones in placed.items() for one in ones]
        self.kept = len(flat), max((len(one) for _, one in flat), default=0)
        # What was made in inference mode could not be loaded into later.
        with torch.inference_mode(False), torch.no_grad():
            self.frames = self.frames.new_tensor([len(one) for _, one in flat])
            self.places = self.places.new_tensor([place for place, _ in flat])
            self.recordings = self.recordings.new_zeros(*self.kept, self._projection().out_features)
            for number, (_, one) in enumerate(flat):
                self.recordings[number, : len(one)] = one

    def _clips(self, frames: Frames) -> list[Tensor]:
        """(T, D) of each item without its padding, but for one frame where there is nothing else."""
        values = torch.cat(tapped(frames, self.taps), -1) if self.taps else frames.values
        return [one[: max(1, length)] for one, length in zip(values, frames.lengths.tolist(), strict=True)]

    def _placed(self, values: Tensor) -> Tensor:
        return functional.normalize(self._projection()(values), dim=-1)

    def embed(self, frames: Frames) -> list[Tensor]:
        """B of (T, embedding), each frame of length 1; of a clip shorter than one frame, what padding says."""
        return [self._placed(clip) for clip in self._clips(frames)]

    def squared_distances(self, embedded: Embedded, place: int) -> Tensor:
        """(B,) means over the word's recordings of mean squared distances of frames; see ``nearest_stretches``."""
        own = self.places == place
        lengths = torch.tensor([len(one) for one in embedded], device=own.device)
        padded = nn.utils.rnn.pad_sequence(list(embedded), batch_first=True)
        known = self.frames[own]
        return nearest_stretches(self.recordings[own, : int(known.max())], known, padded, lengths).mean(1)

    def enrolled(self, label: str, embedded: Embedded) -> Match:
        """A copy with recordings of ``label``, from what ``embed`` gives of its clips; see ``Nearest``."""
        labels = self.labels if label in self.labels else (*self.labels, label)
        again = Match.from_settings({**self.settings(), "labels": labels, "kept": self.kept})
        again.attach(self._width, 0.0)
        state = {name: value.clone() for name, value in self.state_dict().items()}
        state["clips"] = torch.cat([state["clips"], state["clips"][: len(labels) - len(self.labels)]])
        state["clips"][labels.index(label)] = len(embedded)
        again.load_state_dict(state)
        rows = zip(self.places.tolist(), self.frames.tolist(), self.recordings, strict=True)
        placed: dict[int, list[Tensor]] = {place: [] for place in range(len(labels))}
        for place, length, values in rows:
            placed[place].append(values[:length])
        placed[labels.index(label)] = _evenly(list(embedded), self.most)
        again._keep(placed)
        again.acceptance = self.accepting(label)
        return again.eval()


def _evenly(clips: list[Tensor], most: int) -> list[Tensor]:
    """So many of them at most, evenly among all."""
    count = min(most, len(clips))
    return [clips[number * len(clips) // count] for number in range(count)]
