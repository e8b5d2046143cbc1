"""The one training loop, on accelerate: it knows none of the tasks, keeps the best on dev, and resumes exactly."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from speechtransfer.activations import of_frozen
from speechtransfer.audio import Recordings
from speechtransfer.batches import Sound, TrainingBatches, item_seed
from speechtransfer.console import progress_bar
from speechtransfer.encoders.contract import Augment
from speechtransfer.errors import DataError, DivergedError, SettingsError
from speechtransfer.evaluate import evaluate, settle
from speechtransfer.features import SpecAugment
from speechtransfer.files import write_lines
from speechtransfer.frames import Batch
from speechtransfer.manifest import Manifest
from speechtransfer.model import Model
from speechtransfer.resume import Progressed, State, read_state, write_state
from speechtransfer.schedule import FitSettings, make_optimizer, rate_factor
from speechtransfer.score import Estimate
from speechtransfer.transfer import Plan, set_live

#: Batches timed before a budget in minutes becomes a number of steps, after as many to warm up.
_TIMED_BATCHES = 6


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


class _Run:
    """One training under way: what the loop's pieces share."""

    def __init__(
        self,
        model: Model,
        plan: Plan,
        train: Manifest,
        dev: Manifest,
        settings: FitSettings,
        recordings: Sound,
        folder: Path | None = None,
    ) -> None:
        self.plan, self.train, self.dev, self.settings = plan, train, dev, settings
        self.recordings: Sound = recordings
        if settings.cache and isinstance(recordings, Recordings):  # otherwise it is kept already
            self.recordings = of_frozen(model, plan, (*train, *dev), recordings)
        self.accelerator = _accelerator(settings, folder)
        if self.accelerator.num_processes > 1:
            raise SettingsError("training runs in one process: start it without a multi-process launcher.")
        masks = settings.masks
        self.masks = SpecAugment(
            masks.freq_masks, masks.freq_width, masks.time_masks, masks.time_width, masks.time_ratio
        )
        self.metric, self.direction = model.objective.select
        self.batches = TrainingBatches(
            train, self.recordings, settings.batches, settings.seed, model.fits, model.objective.apart
        )
        optimizer = make_optimizer(model, plan, settings)
        self.model: Model
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.bare: Model = self.accelerator.unwrap_model(self.model)

    def augment(self, batch: Batch, epoch: int, progress: float) -> Augment | None:
        """SpecAugment with a seed for each item of the batch, once its time has come."""
        if progress < self.settings.masks.after or self.recordings.start is not None:
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
            raise DivergedError(f"the loss is {value} on {names}: check these recordings, or lower lr.")
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

    def scored(self) -> Estimate:
        """The metric on dev that chooses, after the objective has settled on the training rows."""
        settle(self.bare, self.train, self.recordings)
        return evaluate(self.bare, self.dev, self.recordings)[self.metric]

    def timed(self) -> tuple[float, float]:
        """Seconds of an optimiser step, and of all dev scorings; the model is left as it was."""
        buffers = {name: value.clone() for name, value in self.bare.named_buffers()}
        random = torch.get_rng_state()
        set_live(self.bare, self.plan, max((rule.after for rule in self.plan.rules), default=0))
        began, seconds = time.perf_counter(), 0.0
        for count, (epoch, _, batch) in enumerate(self.stream(Progressed()), 1):
            self.backward(batch, epoch, 1.0)
            seconds += float(batch.lengths.sum()) * self.recordings.period
            if count == _TIMED_BATCHES:  # what came before was to warm up; loading counts as it will in training
                began, seconds = time.perf_counter(), 0.0
            if count == 2 * _TIMED_BATCHES:
                break
        taken = time.perf_counter() - began
        self.optimizer.zero_grad()
        began = time.perf_counter()
        self.scored()
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
    if settings.steps or settings.epochs or settings.minutes:
        step, scoring = run.timed()
    else:  # nothing is learnt: all there is to time is one scoring
        began = time.perf_counter()
        run.scored()
        step, scoring = 0.0, time.perf_counter() - began
    steps = run.steps()
    values = sum(parameter.numel() for parameter in model.parameters())
    single = settings.optimizer == "sgd"
    moments = sum(
        value.numel() * (1 if single or group["muon"] else 2)
        for group in run.optimizer.param_groups
        for value in group["params"]
    )
    memory = 4 * (2 * values + plan.trainable + moments)
    disk = 4 * (3 * values + moments)
    return Forecast(steps, steps * step + scoring, memory / 1e6, disk / 1e6)


def fit(
    model: Model,
    plan: Plan,
    train: Manifest,
    dev: Manifest,
    settings: FitSettings | None = None,
    folder: Path | None = None,
    resume: bool = False,
    recordings: Sound | None = None,
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
        recordings: a reader to share, or what a wholly frozen encoder made of them.

    Raises:
        DataError: an empty split, a loss that is not finite, a full disk.
        SettingsError: settings that cannot train.
        PlanError: a cache, and no frozen block.
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
    if not steps:  # what is settled is all there is
        _score(run, state, 0.0)
    elif not state.done.step:
        settle(run.bare, run.train, run.recordings)
    with progress_bar() as bar:
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
            shown = f"loss {state.losses[-1]:.2f} dev {_shown(state.done.best)}"
            bar.update(task, completed=step + 1, description=shown)
            if step + 1 in marks:
                _score(run, state, settings.lr * factor)
            due = settings.checkpoint_every and (step + 1) % settings.checkpoint_every == 0
            if folder and (due or step + 1 in marks):
                write_state(folder, state, run.bare, run.optimizer)
                write_lines(folder / "history.jsonl", state.rows)


def _score(run: _Run, state: State, rate: float) -> None:
    """Score dev, keep the weights where they are the best so far, and stop when patience is out."""
    done, loss = state.done, sum(state.losses) / len(state.losses) if state.losses else None
    state.losses.clear()
    estimate = run.scored()
    signed = estimate.value if run.direction == "min" else -estimate.value
    row = {"step": done.step, "epoch": done.epoch, "loss": loss, "lr": rate, "seconds": round(done.seconds, 2)}
    state.rows.append({**row, "dev": {run.metric: estimate.as_dict()}})
    learnt = {} if loss is None else {"loss": loss}
    run.accelerator.log({**learnt, "lr": rate, f"dev/{run.metric}": estimate.value}, step=done.step)
    # Of equals, many on a small dev set, the later has learnt for longer and at a lower rate; but a head over a frozen
    # encoder is then merely surer, of strangers too.
    later = run.plan.learns_encoder
    if done.keeps(signed, later):
        state.best = {name: value.detach().cpu().clone() for name, value in run.bare.state_dict().items()}
    state.done = done.scored(signed, run.settings.patience, later)


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


def _shown(best: float) -> str:
    return "..." if math.isinf(best) else f"{abs(best):.1%}"
