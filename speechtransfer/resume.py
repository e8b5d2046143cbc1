"""The state of a training under way, on disk: weights, optimiser, random numbers, best so far."""

from __future__ import annotations

import io
import math
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechtransfer.checkpoint import read_json, write_json
from speechtransfer.errors import SourceError
from speechtransfer.files import write_atomically
from speechtransfer.model import Model
from speechtransfer.weights import match_strictly, read_tensors, write_tensors


@dataclass(frozen=True)
class Progressed:
    """How far a training is; ``best`` is the dev metric, negated where more is better."""

    steps: int = 0
    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_step: int = 0
    since_best: int = 0
    stopped: bool = False

    def after(self, step: int, epoch: int, batch: int, seconds: float) -> Progressed:
        """One optimiser step on."""
        return replace(self, step=step, epoch=epoch, batch=batch, seconds=seconds)

    def keeps(self, value: float, later: bool) -> bool:
        """Whether weights of such a score, less being better, are the ones to keep; of equals, the ``later`` or not."""
        return value <= self.best if later else value < self.best

    def scored(self, value: float, patience: int, later: bool) -> Progressed:
        """After an evaluation; what is no better than before does not give patience back."""
        since = 0 if value < self.best else self.since_best + 1
        best = replace(self, best=value, best_step=self.step) if self.keeps(value, later) else self
        return replace(best, since_best=since, stopped=bool(patience) and since >= patience)


@dataclass
class State:
    """What a resumed training needs beside the model and the optimiser.

    Attributes:
        done: how far it is.
        rows: the history so far.
        losses: of the batches since the last evaluation.
        best: the weights that scored best.
    """

    done: Progressed
    rows: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    best: dict[str, Tensor] | None = None


def write_state(folder: Path, state: State, model: Model, optimizer: torch.optim.Optimizer) -> None:
    """Write a checkpoint beside the last one and let it take its place only when it is whole.

    Raises:
        DataError: the disk is full; the last checkpoint is intact.
    """
    checkpoints = folder / "checkpoints"
    name = f"step-{state.done.step}"
    target = checkpoints / name
    shutil.rmtree(target, ignore_errors=True)
    write_tensors(target / "model.safetensors", model.state_dict())
    if state.best is not None:
        write_tensors(target / "best.safetensors", state.best)
    random = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["cuda"] = torch.cuda.get_rng_state()
    buffer = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "random": random}, buffer)
    write_atomically(target / "optimizer.pt", buffer.getvalue())
    write_json(target / "progress.json", {"done": asdict(state.done), "rows": state.rows, "losses": state.losses})
    # The pointer is written last: what it names is whole.
    write_json(checkpoints / "last.json", name)
    for old in checkpoints.glob("step-*"):
        if old.name != name:
            shutil.rmtree(old)


def read_state(folder: Path, model: Model, optimizer: torch.optim.Optimizer) -> State | None:
    """Restore model, optimiser and random numbers from the last checkpoint; None where there is none.

    Raises:
        SourceError: the checkpoint is damaged or belongs to another model.
    """
    checkpoints = folder / "checkpoints"
    if not (checkpoints / "last.json").is_file():
        return None
    source = checkpoints / str(read_json(checkpoints / "last.json"))
    try:
        saved = torch.load(source / "optimizer.pt", map_location="cpu", weights_only=True)
        tensors = read_tensors(source / "model.safetensors")
        matched, _ = match_strictly(tensors, model.state_dict(), (), (), "model.safetensors")
        model.load_state_dict(matched)
        optimizer.load_state_dict(saved["optimizer"])
        progress = read_json(source / "progress.json")
        best = source / "best.safetensors"
        state = State(
            Progressed(**progress["done"]),
            list(progress["rows"]),
            list(progress.get("losses", ())),
            read_tensors(best) if best.is_file() else None,
        )
        torch.set_rng_state(saved["random"]["cpu"])
        if "cuda" in saved["random"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(saved["random"]["cuda"])
    except Exception as error:  # a damaged pickle raises whatever its broken opcodes lead to
        raise SourceError(f"{source}: cannot be resumed ({error}). Remove {checkpoints} to start again.") from error
    return state
