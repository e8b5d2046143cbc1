"""What a training is set to: its settings, the course of its learning rate, and its optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from speechtransfer.batches import BatchSettings
from speechtransfer.errors import SettingsError
from speechtransfer.model import Model
from speechtransfer.muon import MuonAdamW
from speechtransfer.transfer import Plan

#: Of AdamW: the second moment forgets sooner than by default, for trainings of a thousand steps.
_BETAS = (0.9, 0.98)


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
        steps: optimiser steps; 0 learns nothing, for what is settled on the training rows alone.
        epochs: passes over the training split; given, it decides ``steps``.
        minutes: budget of training time; given, it decides ``steps`` before the first of them.
        lr: the peak learning rate, which each rule's scale multiplies.
        optimizer: ``adamw``; ``muon`` on the encoder's matrices with AdamW on all else; or ``sgd`` with momentum.
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
        cache: compute what the frozen first blocks of the encoder make of each recording once, and train from
            that: many times faster, but nothing before them can be augmented.
        tensorboard: also write TensorBoard events into the run folder.
    """

    steps: int = 2000
    epochs: float | None = None
    minutes: float | None = None
    lr: float = 1e-3
    optimizer: Literal["adamw", "muon", "sgd"] = "adamw"
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
    cache: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot train.

        Raises:
            SettingsError: naming the value.
        """
        positive = {
            "lr": self.lr,
            "accumulate": self.accumulate,
            "evaluations": self.evaluations,
        }
        for name, value in positive.items():
            if not value > 0:
                raise SettingsError(f"{name}={value} must be above zero.")
        for name in ("steps", "patience", "clip", "checkpoint_every", "weight_decay"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name}={getattr(self, name)} must be zero or more.")
        for name, budget in {"minutes": self.minutes, "epochs": self.epochs}.items():
            if budget is not None and not budget > 0:
                raise SettingsError(f"{name}={budget} must be above zero.")
        if self.threads < 0 or not 0 <= self.seed < 2**63:
            raise SettingsError(f"threads={self.threads} and seed={self.seed} must be whole numbers from zero up.")
        if self.cache and (self.batches.changes or self.masks.freq_masks or self.masks.time_masks):
            raise SettingsError(
                "cache: what is kept is past all that changes sound. Set batches.speeds=1.0, batches.join=0, no "
                "surroundings, masks.freq_masks=0 and masks.time_masks=0; or leave out cache."
            )
        if not 0 <= self.warmup < 1:
            raise SettingsError(f"warmup={self.warmup} must be in [0, 1).")
        for name, hint in get_type_hints(FitSettings).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise SettingsError(f"{name}={getattr(self, name)!r} is none of {', '.join(get_args(hint))}.")


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
    groups: dict[tuple[float, float, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if name in scales:
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            matrix = settings.optimizer == "muon" and parameter.ndim == 2 and name.startswith("encoder.")
            groups.setdefault((scales[name], decay, matrix), []).append(parameter)
    if not groups:
        raise SettingsError("the plan freezes every parameter: there is nothing to train.")
    if settings.optimizer == "muon" and not any(matrix for _, _, matrix in groups):
        raise SettingsError("optimizer=muon: no matrix of the encoder learns, and all else is AdamW's. Take adamw.")
    described: list[dict[str, Any]] = [
        {"params": group, "weight_decay": decay, "lr": settings.lr * scale, "peak": settings.lr * scale, "muon": matrix}
        for (scale, decay, matrix), group in groups.items()
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(described, momentum=settings.momentum)
    if settings.optimizer == "muon":
        return MuonAdamW(described, _BETAS)
    return torch.optim.AdamW(described, betas=_BETAS, fused=True)
