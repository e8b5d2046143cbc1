"""The fair baseline: a network from random weights, with a searched rate and more steps than the transfer had."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from speechtransfer.batches import BatchSettings
from speechtransfer.checkpoint import read_json, write_json
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import DivergedError, SettingsError
from speechtransfer.files import read_lines
from speechtransfer.model import Model
from speechtransfer.schedule import FitSettings, MaskSettings
from speechtransfer.sources import load_encoder
from speechtransfer.transfer import Plan, Rule, Transfer
from speechtransfer.trial import Outcome, Task, run_trial


@dataclass(frozen=True)
class Scratch:
    """A network from random weights, nothing frozen, every factor 1; the transfer's own, or another.

    Attributes:
        rates: learning rates; the best on the first fold's dev is taken.
        search: steps of each trial of that search over those of the transfer.
        factor: steps of the baseline itself over those of the transfer.
        folds: how many folds it is trained on; 0 for no baseline.
        network: another network, as the command line's ``--source``, whose weights are not used: what is best from
            random weights may be smaller than what was pretrained (``random:conformer``).
    """

    rates: tuple[float, ...] = (5e-4, 1e-3, 2e-3)
    search: float = 1.0
    factor: float = 3.0
    folds: int = 5
    network: str | None = None

    def __post_init__(self) -> None:
        """Refuse a network without a name, and what no fair baseline can be trained with.

        Raises:
            SettingsError: it is empty; no rate, or one, a factor or a search that is not above zero.
        """
        if not self.rates or min(*self.rates, self.factor, self.search) <= 0 or self.folds < 0:
            raise SettingsError(
                f"scratch: rates={self.rates}, factor={self.factor} and search={self.search} must be above zero, one "
                f"rate or more, and folds={self.folds} zero or more."
            )
        if self.network is not None and not self.network.strip("/. "):
            raise SettingsError(f"scratch.network={self.network!r} names none. Give one, as random:conformer, or none.")

    @property
    def name(self) -> str:
        """What the baseline is called in files and tables: ``scratch``, or ``scratch-conformer``."""
        if self.network is None:
            return "scratch"
        return "scratch-" + re.sub(r"[^\w.,=]+", "-", self.network.removeprefix("random:")).strip("-")

    def trainings(self, folds: int) -> float:
        """How much is trained, in units of one fold's transfer, where that is trained on so many folds."""
        if not self.folds:
            return 0.0
        return (len(self.rates) * self.search if len(self.rates) > 1 else 0.0) + min(folds, self.folds) * self.factor


def scratch_transfer(cut: str | None = None) -> Transfer:
    """Everything fresh, nothing frozen; cut where the transfer is, so that it is the same network."""
    return Transfer((Rule(r".*"),), cut=cut, fresh=(r"encoder\..*",), graft="fresh")


@dataclass(frozen=True)
class Baseline:
    """The baseline of one run folder.

    Attributes:
        scratch: what is trained.
        out: the run folder; trials of the rate's search lie under ``search/``, the rest under ``baselines/``.
        encoder: the network; its weights are not used.
        cut: where the network is cut off, as the transfer's is.
    """

    scratch: Scratch
    out: Path
    encoder: Encoder
    cut: str | None

    @classmethod
    def of(cls, scratch: Scratch, out: Path, source: Encoder, cut: str | None) -> Baseline:
        """The source's own network, cut where it is cut, or the other one that is named, whole.

        Raises:
            SettingsError: the other one hears another sample rate.
            SourceError: it cannot be found or loaded.
        """
        if scratch.network is None or not scratch.folds:
            return cls(scratch, out, source, cut)
        network = load_encoder(scratch.network)
        if network.sample_rate != source.sample_rate:
            raise SettingsError(
                f"scratch.network={scratch.network} hears {network.sample_rate} Hz, the source {source.sample_rate} "
                "Hz. Name a network of the same rate."
            )
        return cls(scratch, out, network, None)

    def model(self, task: Task) -> tuple[Model, Plan]:
        """The network with random weights and a head for the task, and what of it learns.

        Raises:
            PlanError: the two do not fit.
        """
        return scratch_transfer(self.cut).apply(self.encoder, task.objective())

    def train(self, fold: int | None, task: Task, settings: FitSettings) -> Outcome:
        """Train on one fold (None: the only one); the rate is searched for on the first and kept for the others.

        Args:
            fold: its number.
            task: of the fold.
            settings: of the transfer on it.
        """
        rates, home = self.scratch.rates, self.out / "baselines" / self.scratch.name
        if settings.cache:  # nothing of it is frozen; and what learns from sound itself has a right to changed sound
            changed = replace(settings.batches, speeds=BatchSettings().speeds)
            settings = replace(settings, cache=False, batches=changed, masks=MaskSettings())
        chosen = home.with_name(f"{home.name}_rate.json")
        if len(rates) > 1 and not chosen.is_file():
            metric, direction = task.objective().select
            best, found = (min if direction == "min" else max), {}
            for rate in rates:
                trial = self.out / "search" / home.name / f"{rate:g}"
                try:
                    self._trial(trial, task, replace(_longer(settings, self.scratch.search), lr=rate))
                except DivergedError:  # too high a rate is no reason to lose the others
                    continue
                found[rate] = best(row["dev"][metric]["value"] for row in read_lines(trial / "history.jsonl"))
            if not found:
                raise SettingsError(f"scratch: the loss diverged at every rate of {rates}. Give lower ones.")
            write_json(chosen, {"rate": best(found, key=lambda rate: found[rate]), "dev": found})
        rate = rates[0] if len(rates) == 1 else read_json(chosen)["rate"]
        folder = home if fold is None else home / "folds" / str(fold)
        return self._trial(folder, task, replace(_longer(settings, self.scratch.factor), lr=rate))

    def _trial(self, folder: Path, task: Task, settings: FitSettings) -> Outcome:
        return run_trial(folder, self.encoder, task, scratch_transfer(self.cut), settings, resume=True)


def _longer(settings: FitSettings, factor: float) -> FitSettings:
    """The same training with a budget ``factor`` times as large."""
    epochs = None if settings.epochs is None else settings.epochs * factor
    minutes = None if settings.minutes is None else settings.minutes * factor
    return replace(settings, steps=max(1, round(settings.steps * factor)), epochs=epochs, minutes=minutes)
