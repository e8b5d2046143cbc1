"""Sum: several objectives over one encoder: a head for each language, or a teacher beside a head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import tee
from typing import Any

from torch import Tensor, nn

from speechtransfer.errors import PlanError
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Utterance
from speechtransfer.objectives.contract import KINDS, Objective, Prediction
from speechtransfer.score import Scores
from speechtransfer.weights import Head


class Sum(Objective):
    """A weighted sum of objectives: ``Sum(spa=(1.0, Ctc(...)), teacher=(0.5, Distil(...)))``.

    An objective with ``only`` learns from the items whose fields have those values. Of the objectives that have an
    output layer the first that takes an item predicts it; the first of all chooses the best model.

    Args:
        parts: (weight, objective) by name.
    """

    kind = "sum"

    def __init__(self, **parts: tuple[float, Objective]) -> None:
        super().__init__()
        if not parts or min(weight for weight, _ in parts.values()) <= 0:
            raise PlanError("sum: give one objective or more, each with a weight above zero.")
        self.parts = nn.ModuleDict({name: part for name, (_, part) in parts.items()})
        self.weights = {name: weight for name, (weight, _) in parts.items()}
        self.field, self.select = self._first.field, self._first.select
        self.contract = self._first.contract
        self.apart = tuple(dict.fromkeys(field for part in self._parts.values() for field in (*part.only, *part.apart)))
        self.taps = tuple(dict.fromkeys(tap for part in self._parts.values() for tap in part.taps))

    @property
    def _parts(self) -> dict[str, Objective]:
        return {name: part for name, part in self.parts.items() if isinstance(part, Objective)}

    @property
    def _first(self) -> Objective:
        return next(iter(self._parts.values()))

    def attach(self, width: int, period: float) -> None:
        """Build every objective's head."""
        for part in self._parts.values():
            part.attach(width, period)

    @property
    def heads(self) -> dict[str, Head]:
        """The output layers of all."""
        return {
            f"parts.{name}.{place}": head for name, part in self._parts.items() for place, head in part.heads.items()
        }

    def settings(self) -> dict[str, Any]:
        """Weight, kind and settings of each, by its name."""
        described = {
            name: {"weight": self.weights[name], "kind": part.kind, **part.settings()}
            for name, part in self._parts.items()
        }
        return {"parts": described}

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Sum:
        """The inverse of ``settings``."""
        parts = values["parts"]
        return cls(**{name: (one["weight"], KINDS[one["kind"]].from_settings(one)) for name, one in parts.items()})

    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """What the objective says that would predict it."""
        for part in self._parts.values():
            if all(getattr(utterance, field) == value for field, value in part.only.items()):
                return part.unfit(utterance, frames)
        return "none of the objectives is for it"

    def loss(self, frames: Frames, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Each objective's losses on its own items, times its weight, named ``<objective>/<loss>``."""
        losses = {}
        for name, part in self._parts.items():
            chosen = _of(part, batch)
            if not chosen:
                losses[name] = sum((value.sum() for value in part.parameters()), frames.values.sum()) * 0.0
                continue
            for key, loss in part.loss(frames.select(chosen), batch.select(chosen), progress).items():
                losses[f"{name}/{key}"] = self.weights[name] * loss
        return losses

    def settle(self, train: Iterable[tuple[Frames, Batch]]) -> None:
        """Each objective on its own items; heard once for all of them, and not at all where none asks."""
        parts = self._parts.values()
        for part, heard in zip(parts, tee(train, len(parts)), strict=True):
            part.settle(_own(part, heard))

    def finish(self, dev: Iterable[tuple[Frames, Batch]]) -> dict[str, Any]:
        """What each objective that predicts chooses on its own items, by its name; of one alone, its choice itself."""
        heard = list(dev)
        found = {}
        for name, part in self._parts.items():
            if part.heads:
                found[name] = part.finish(_own(part, heard))
        if len(found) == 1:
            return next(iter(found.values()))
        chosen = {name: one for name, one in found.items() if one}
        return {"heads": chosen} if chosen else {}

    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """One prediction an item, from the first objective that is for it.

        Raises:
            PlanError: an item that none is for.
        """
        predictors = {name: part for name, part in self._parts.items() if part.heads}
        if batch is None:
            return next(iter(predictors.values())).predict(frames)
        found: dict[int, Prediction] = {}
        for part in predictors.values():
            chosen = [index for index in _of(part, batch) if index not in found]
            if chosen:
                found.update(zip(chosen, part.predict(frames.select(chosen), batch.select(chosen)), strict=True))
        lost = [name for index, name in enumerate(batch.ids) if index not in found]
        if lost:
            wanted = ", ".join(f"{field} {value}" for part in predictors.values() for field, value in part.only.items())
            raise PlanError(f"{lost[0]}: none of the output layers is for it. They are for {wanted}: say which it is.")
        return [found[index] for index in range(len(batch.ids))]

    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """As the first scores them."""
        return self._first.score(rows, predictions)


def _own(part: Objective, heard: Iterable[tuple[Frames, Batch]]) -> Iterator[tuple[Frames, Batch]]:
    """Of each batch the items that an objective is for, where there are any."""
    for frames, batch in heard:
        chosen = _of(part, batch)
        if chosen:
            yield frames.select(chosen), batch.select(chosen)


def _of(part: Objective, batch: Batch) -> list[int]:
    """Places of the items that an objective is for."""
    wanted = [(batch.fields[field], value) for field, value in part.only.items()]
    return [index for index in range(len(batch.ids)) if all(values[index] == value for values, value in wanted)]
