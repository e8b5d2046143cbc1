"""The one training loop, on accelerate: it knows none of the tasks, keeps the best on dev, and resumes exactly."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from speechtransfer.audio import Recordings
from speechtransfer.batches import BatchSettings, TrainingBatches, item_seed
from speechtransfer.encoders.contract import Augment
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.evaluate import evaluate
from speechtransfer.features import SpecAugment
from speechtransfer.files import write_lines
from speechtransfer.frames import Batch
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.resume import Progressed, State, read_state, write_state
from speechtransfer.transfer import Plan, set_live

#: Batches timed before a budget in minutes becomes a number of steps, after as many to warm up.
_TIMED_BATCHES = 6


@dataclass(frozen=True)
class MaskSettings:
    """SpecAugment's masks over log-mel features; counts of zero switch it off.

    Attributes:
        freq_masks: masks over bands.
        freq_width: widest band mask, in bands.
        time_masks: masks over time.
        time_width: longest time mask, in frames of the front end.
        time_ratio: longest time mask as a share of the utterance.
        after: share of the steps before the first mask; a CTC head finds its first characters much
            sooner in whole features (on ten minutes from scratch, in a third of the steps).
    """

    freq_masks: int = 2
    freq_width: int = 18
    time_masks: int = 4
    time_width: int = 30
    time_ratio: float = 0.05
    after: float = 0.15


@dataclass(frozen=True)
class FitSettings:
    """How a model is trained.

    Attributes:
        steps: optimiser steps.
        epochs: passes over the training split; given, it decides ``steps``.
        minutes: budget of training time; given, it decides ``steps`` before the first of them.
        lr: the peak learning rate, which each rule's scale multiplies.
        optimizer: ``adamw``, or ``sgd`` with momentum.
        momentum: of SGD.
        weight_decay: on matrices and kernels; norms and biases have none.
        warmup: share of the steps over which the rate rises from zero.
        decay: how it falls afterwards: ``cosine``, ``linear`` or ``constant``.
        clip: largest norm of a gradient; 0 is no limit.
        accumulate: batches in an optimiser step.
        precision: ``auto`` (bf16 where a GPU has it), ``no``, ``fp16`` or ``bf16``.
        batches: sizes and speed perturbation.
        masks: SpecAugment.
        evaluations: how many times dev is scored over the training.
        patience: evaluations without a better score after which training stops; 0 never.
        checkpoint_every: steps between checkpoints; 0 writes them at evaluations only.
        seed: of the training; the split has its own.
        threads: of torch on the CPU; 0 leaves its default.
        tensorboard: also write TensorBoard events into the run folder.
    """

    steps: int = 2000
    epochs: float | None = None
    minutes: float | None = None
    lr: float = 1e-3
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.1
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    clip: float = 1.0
    accumulate: int = 1
    precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    batches: BatchSettings = field(default_factory=BatchSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    evaluations: int = 10
    patience: int = 0
    checkpoint_every: int = 0
    seed: int = 1
    threads: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot train.

        Raises:
            SettingsError: naming the value.
        """
        positive = {
            "steps": self.steps,
            "lr": self.lr,
            "accumulate": self.accumulate,
            "evaluations": self.evaluations,
        }
        for name, value in positive.items():
            if not value > 0:
                raise SettingsError(f"{name}={value} must be above zero.")
        for name, budget in {"minutes": self.minutes, "epochs": self.epochs}.items():
            if budget is not None and not budget > 0:
                raise SettingsError(f"{name}={budget} must be above zero.")
        if not 0 <= self.warmup < 1:
            raise SettingsError(f"warmup={self.warmup} must be in [0, 1).")
        for name, hint in get_type_hints(FitSettings).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise SettingsError(f"{name}={getattr(self, name)!r} is none of {', '.join(get_args(hint))}.")


@dataclass(frozen=True)
class History:
    """What happened in training.

    Attributes:
        rows: one a logged step or evaluation, in order.
        steps: how many were planned.
        best_step: the step whose weights the model now has.
        best: the dev metric there.
        seconds: of training and dev scoring together.
        audio_seconds: of the training split, once through.
        waste: share of the first epoch's padded audio that was padding.
    """

    rows: tuple[dict[str, Any], ...]
    steps: int
    best_step: int
    best: float
    seconds: float
    audio_seconds: float
    waste: float


def rate_factor(step: int, steps: int, warmup: float, decay: str) -> float:
    """The factor on the peak learning rate at ``step`` of ``steps`` (counted from 0)."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0}[decay]


def make_optimizer(model: Model, plan: Plan, settings: FitSettings) -> torch.optim.Optimizer:
    """Parameters that ever learn, grouped by their rule's scale; vectors have no weight decay."""
    scales = {item.name: item.scale for item in plan.parameters if item.scale > 0}
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if name in scales:
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((scales[name], decay), []).append(parameter)
    if not groups:
        raise SettingsError("the plan freezes every parameter: there is nothing to train.")
    described = [
        {"params": group, "weight_decay": decay, "lr": settings.lr * scale, "peak": settings.lr * scale}
        for (scale, decay), group in groups.items()
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(described, momentum=settings.momentum)
    return torch.optim.AdamW(described, betas=(0.9, 0.98), fused=True)


class _Run:
    """One training under way: what the loop's pieces share."""

    def __init__(
        self,
        model: Model,
        plan: Plan,
        train: Manifest,
        dev: Manifest,
        settings: FitSettings,
        recordings: Recordings,
        folder: Path | None = None,
    ) -> None:
        self.plan, self.dev, self.settings, self.recordings = plan, dev, settings, recordings
        self.accelerator = _accelerator(settings, folder)
        if self.accelerator.num_processes > 1:
            raise SettingsError("training runs in one process: start it without a multi-process launcher.")
        masks = settings.masks
        self.masks = SpecAugment(
            masks.freq_masks, masks.freq_width, masks.time_masks, masks.time_width, masks.time_ratio
        )
        self.metric, self.direction = model.objective.select
        self.batches = TrainingBatches(train, recordings, settings.batches, settings.seed, _fitting(model))
        optimizer = make_optimizer(model, plan, settings)
        self.model: Model
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.bare: Model = self.accelerator.unwrap_model(self.model)

    def augment(self, batch: Batch, epoch: int, progress: float) -> Augment | None:
        """SpecAugment with a seed for each item of the batch, once its time has come."""
        if progress < self.settings.masks.after:
            return None
        seeds = [item_seed(self.settings.seed, epoch, f"mask/{name}") for name in batch.ids]
        return lambda values, lengths: self.masks(values, lengths, seeds)

    def backward(self, batch: Batch, epoch: int, progress: float) -> float:
        """Add one batch's gradients; gives its loss."""
        batch = batch.to(self.accelerator.device)
        losses = self.model(batch, progress, self.augment(batch, epoch, progress))
        loss = torch.stack(list(losses.values())).sum()
        value = float(loss.detach())
        if not math.isfinite(value):
            names = ", ".join(batch.ids[:3]) + (f" or {len(batch.ids) - 3} more" if len(batch.ids) > 3 else "")
            raise DataError(f"the loss is {value} on {names}: check these recordings, or lower lr.")
        self.accelerator.backward(loss / self.settings.accumulate)
        return value

    def stream(self, state: Progressed) -> Iterator[tuple[int, int, Batch]]:
        """Epoch, number in it, and batch, for ever, from where ``state`` left off."""
        epoch, first = state.epoch, state.batch
        while True:
            for number, batch in enumerate(self.batches.epoch(epoch, first), first):
                yield epoch, number, batch
            epoch, first = epoch + 1, 0

    def steps(self) -> int:
        """The number of steps, from a budget where one is given."""
        settings = self.settings
        if settings.minutes:
            step, scoring = self.timed()
            return max(settings.evaluations, int((60 * settings.minutes - scoring) / step))
        if settings.epochs:
            return max(1, round(settings.epochs * self.batches.steps() / settings.accumulate))
        return settings.steps

    def timed(self) -> tuple[float, float]:
        """Seconds of an optimiser step, and of all dev scorings; the model is left as it was."""
        buffers = {name: value.clone() for name, value in self.bare.named_buffers()}
        random = torch.get_rng_state()
        set_live(self.bare, self.plan, max((rule.after for rule in self.plan.rules), default=0))
        taken = seconds = 0.0
        for count, (epoch, _, batch) in enumerate(self.stream(Progressed())):
            if count == 2 * _TIMED_BATCHES:
                break
            began = time.perf_counter()
            self.backward(batch, epoch, 0.0)
            if count >= _TIMED_BATCHES:
                taken += time.perf_counter() - began
                seconds += float(batch.lengths.sum()) / self.recordings.sample_rate
        self.optimizer.zero_grad()
        began = time.perf_counter()
        evaluate(self.bare, self.dev, self.recordings)
        scoring = (time.perf_counter() - began) * self.settings.evaluations
        with torch.no_grad():
            for name, value in self.bare.named_buffers():
                value.copy_(buffers[name])
        torch.set_rng_state(random)
        sizes = self.batches.plan(0).sizes
        return taken / seconds * sum(sizes) / self.batches.steps() * self.settings.accumulate, scoring


@dataclass(frozen=True)
class Forecast:
    """What a training would cost: steps, seconds, and megabytes of memory and disk."""

    steps: int
    seconds: float
    memory_mb: float
    disk_mb: float


def forecast(model: Model, plan: Plan, train: Manifest, dev: Manifest, settings: FitSettings) -> Forecast:
    """Time a few batches without learning from them.

    Memory counts weights, gradients, the optimiser's moments and the best copy; activations come on top
    and are in this process's peak, which the command prints beside it.
    """
    run = _Run(model, plan, train, dev, settings, Recordings(model.encoder.sample_rate))
    step, scoring = run.timed()
    steps = run.steps()
    values = sum(parameter.numel() for parameter in model.parameters())
    moments = 2 if settings.optimizer == "adamw" else 1
    memory, disk = (
        4 * (2 * values + (1 + moments) * plan.trainable),
        4 * (2 * values + moments * plan.trainable),
    )
    return Forecast(steps, steps * step + scoring, memory / 1e6, (disk + 4 * values) / 1e6)


def fit(
    model: Model,
    plan: Plan,
    train: Manifest,
    dev: Manifest,
    settings: FitSettings | None = None,
    folder: Path | None = None,
    resume: bool = False,
    recordings: Recordings | None = None,
) -> History:
    """Train a model in place; it ends with the weights that scored best on dev.

    Args:
        model: from ``Transfer.apply``.
        plan: from ``Transfer.apply``.
        train: rows that the objective can learn from (see ``doctor.learnable``).
        dev: rows that choose the best weights.
        settings: how.
        folder: where ``checkpoints/`` and ``history.jsonl`` go; None keeps the best in memory alone.
        resume: go on from the folder's last checkpoint; starts where there is none. Otherwise what an
            earlier training left there is removed.
        recordings: a reader to share.

    Raises:
        DataError: an empty split, a loss that is not finite, a full disk.
        SettingsError: settings that cannot train.
    """
    settings = settings or FitSettings()
    if not len(train) or not len(dev):
        raise DataError(f"the {'dev' if len(train) else 'train'} split is empty: nothing can be trained and chosen.")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    recordings = recordings or Recordings(model.encoder.sample_rate)
    run = _Run(model, plan, train, dev, settings, recordings, folder)
    state = read_state(folder, run.bare, run.optimizer) if resume and folder else None
    if state is None:
        if folder:  # another training's: an interruption before our first must not resume from it
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        state = State(Progressed(steps=run.steps()))
    _loop(run, state, folder)
    run.accelerator.end_training()
    if state.best is not None:
        run.bare.load_state_dict(state.best)
    run.bare.eval()
    done = state.done
    best = done.best if run.direction == "min" else -done.best
    audio = sum(recordings.seconds(row) for row in train)
    return History(tuple(state.rows), done.steps, done.best_step, best, done.seconds, audio, run.batches.waste())


def _loop(run: _Run, state: State, folder: Path | None) -> None:
    """Step until the planned steps or the patience are used up; ``state`` holds all that a resume needs."""
    settings, steps = run.settings, state.done.steps
    marks = {round(steps * (number + 1) / settings.evaluations) for number in range(settings.evaluations)}
    thaws = {0, *(rule.after for rule in run.plan.rules)}
    set_live(run.bare, run.plan, state.done.step)
    stream = run.stream(state.done)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("training", total=steps, completed=state.done.step)
        began = time.perf_counter() - state.done.seconds
        while state.done.step < steps and not state.done.stopped:
            step = state.done.step
            if step in thaws:
                set_live(run.bare, run.plan, step)
            factor = rate_factor(step, steps, settings.warmup, settings.decay)
            for group in run.optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            for _ in range(settings.accumulate):
                epoch, number, batch = next(stream)
                state.losses.append(run.backward(batch, epoch, step / steps))
            if settings.clip:
                run.accelerator.clip_grad_norm_(run.bare.parameters(), settings.clip)
            run.optimizer.step()
            run.optimizer.zero_grad()
            state.done = state.done.after(step + 1, epoch, number + 1, time.perf_counter() - began)
            bar.update(
                task, completed=step + 1, description=f"loss {state.losses[-1]:.2f} dev {_shown(state.done.best)}"
            )
            if step + 1 in marks:
                _score(run, state, settings.lr * factor)
            due = settings.checkpoint_every and (step + 1) % settings.checkpoint_every == 0
            if folder and (due or step + 1 in marks):
                write_state(folder, state, run.bare, run.optimizer)
                write_lines(folder / "history.jsonl", state.rows)


def _score(run: _Run, state: State, rate: float) -> None:
    """Score dev, keep the weights where they are the best so far, and stop when patience is out."""
    done, loss = state.done, sum(state.losses) / len(state.losses)
    state.losses.clear()
    estimate = evaluate(run.bare, run.dev, run.recordings)[run.metric]
    signed = estimate.value if run.direction == "min" else -estimate.value
    better = signed < done.best
    row = {
        "step": done.step,
        "epoch": done.epoch,
        "loss": loss,
        "lr": rate,
        "seconds": round(done.seconds, 2),
    }
    state.rows.append({**row, "dev": {run.metric: estimate.as_dict()}})
    run.accelerator.log({"loss": loss, "lr": rate, f"dev/{run.metric}": estimate.value}, step=done.step)
    if better:
        state.best = {name: value.detach().cpu().clone() for name, value in run.bare.state_dict().items()}
    state.done = done.scored(signed, better, run.settings.patience)


def _accelerator(settings: FitSettings, folder: Path | None) -> Accelerator:
    """A new accelerator; the last one's precision, which accelerate keeps for the process, is forgotten."""
    tracker = "tensorboard" if settings.tensorboard and folder else None
    AcceleratorState._reset_state()
    try:
        accelerator = Accelerator(mixed_precision=_precision(settings.precision), log_with=tracker, project_dir=folder)
    except ValueError as error:
        raise SettingsError(f"precision={settings.precision}: {error}") from error
    accelerator.init_trackers("tensorboard")
    return accelerator


def _precision(wanted: str) -> str:
    if wanted == "fp16" and not torch.cuda.is_available():
        raise SettingsError("precision=fp16 needs a GPU; on a CPU take no, or bf16.")
    if wanted != "auto":
        return wanted
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"


def _fitting(model: Model) -> Any:
    """Whether an utterance of so many samples can be learnt from, by the encoder's real stride."""
    encoder, objective = model.encoder, model.objective

    def fits(utterance: Utterance, samples: int) -> bool:
        return objective.unfit(utterance, int(encoder.frame_lengths(torch.tensor([samples]))[0])) is None

    return fits


def _shown(best: float) -> str:
    return "..." if math.isinf(best) else f"{abs(best):.1%}"
