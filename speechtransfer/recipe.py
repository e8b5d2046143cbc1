"""Recipe: one cross-language adaptation as a frozen value, and the running of it over folds and baselines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from speechtransfer.audio import Recordings
from speechtransfer.batches import BatchSettings
from speechtransfer.checkpoint import read_json, write_json
from speechtransfer.corpora import load as load_corpus
from speechtransfer.doctor import examine, require
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.evaluate import refuse_contamination
from speechtransfer.files import read_lines
from speechtransfer.manifest import Manifest, Utterance, write_ledger
from speechtransfer.pooling import pool_predictions, pooled, with_verdict
from speechtransfer.report import write_card, write_report
from speechtransfer.schedule import FitSettings
from speechtransfer.sources import DEFAULT_SOURCE, load_encoder
from speechtransfer.splits import cross_validation, take_seconds
from speechtransfer.text import TextContract
from speechtransfer.transfer import Rule, Transfer
from speechtransfer.trial import Outcome, Task, run_trial


@dataclass(frozen=True)
class Scratch:
    """The fair baseline: the same network from random weights, nothing frozen, every factor 1.

    Attributes:
        rates: learning rates; the best on the first fold's dev is taken.
        search: steps of each trial of that search over those of the transfer.
        factor: steps of the baseline itself over those of the transfer.
        folds: how many folds it is trained on; 0 for no baseline.
    """

    rates: tuple[float, ...] = (5e-4, 1e-3, 2e-3)
    search: float = 1.0
    factor: float = 3.0
    folds: int = 5


@dataclass(frozen=True)
class Recipe:
    """One adaptation.

    Attributes:
        name: the folder under ``recipes/``.
        data: what to adapt to, as the command line's DATA; several are joined.
        source: as the command line's ``--source``.
        family: of the source; ``--smoke`` takes a tiny random encoder of it.
        task: ``ctc``.
        language: ISO 639-3 of the data; None takes it from the rows.
        transfer: rules, cut, fresh and graft.
        settings: of the training.
        train_minutes: how much of the training split to use; None is all.
        folds: into how many a corpus without splits is cut.
        run_folds: which of them to run; None is all.
        split_seed: of the cut; apart from every training seed.
        split_by: what must not cross splits beside prompts: ``auto`` takes speakers where two or more are
            known, ``prompt`` never.
        tests: further test sets, name to DATA; none of it is trained on.
        scratch: the from-scratch baseline.
    """

    name: str
    data: tuple[str, ...]
    source: str = DEFAULT_SOURCE
    family: Literal["conformer", "whisper"] = "conformer"
    task: Literal["ctc"] = "ctc"
    language: str | None = None
    transfer: Transfer = field(default_factory=Transfer)
    settings: FitSettings = field(default_factory=FitSettings)
    train_minutes: float | None = None
    folds: int = 5
    run_folds: tuple[int, ...] | None = None
    split_seed: int = 0
    split_by: Literal["auto", "prompt"] = "auto"
    tests: Mapping[str, str] = field(default_factory=dict)
    scratch: Scratch = field(default_factory=Scratch)

    def trainings(self) -> float:
        """How much is trained in all, in units of one fold's transfer: the folds, the search, the baselines."""
        folds = self.folds if self.run_folds is None else len(self.run_folds)
        scratch = self.scratch
        searched = len(scratch.rates) * scratch.search if len(scratch.rates) > 1 else 0.0
        return folds + (searched + min(folds, scratch.folds) * scratch.factor if scratch.folds else 0.0)

    def config(self) -> dict[str, Any]:
        """Plain values, for ``recipe.json`` and the configuration's hash."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values


def scratch_transfer() -> Transfer:
    """Everything fresh, nothing frozen."""
    return Transfer((Rule(r".*"),), fresh=(r"encoder\..*",), graft="fresh")


@dataclass(frozen=True)
class Corpus:
    """A recipe's data, examined: usable rows, their reader, further tests, and what figures must say."""

    manifest: Manifest
    recordings: Recordings
    tests: Mapping[str, Manifest]
    notes: tuple[str, ...]
    by_speaker: bool

    @property
    def contract(self) -> TextContract:
        """What transcripts pass before they are compared."""
        return TextContract()

    def prompt(self, row: Utterance) -> str:
        """What must not cross splits: the text after the contract."""
        return self.contract.apply(row.text) if row.text else row.id


def open_corpus(
    recipe: Recipe, sample_rate: int, audio_roots: tuple[str, ...] = (), format: str | None = None
) -> Corpus:
    """Load and examine a recipe's data.

    Raises:
        DataError: nothing usable, or an unusable test row.
    """
    recordings = Recordings(sample_rate)
    loaded = [load_corpus(name, format, audio_roots, recipe.language) for name in recipe.data]
    rows = tuple(row for one in loaded for row in one)
    ledger = tuple(line for one in loaded for line in one.ledger)
    manifest = require(examine(Manifest(rows, ledger), recordings, TextContract()))
    tests = {}
    for name, data in recipe.tests.items():
        further = load_corpus(data, None, audio_roots, recipe.language)
        labelled = tuple(replace(row, split=name) for row in further)
        tests[name] = require(examine(Manifest(labelled), recordings, TextContract()))
    by_speaker = recipe.split_by == "auto" and len(manifest.speakers) > 1
    notes = () if by_speaker else ("speaker-dependent",)
    return Corpus(manifest, recordings, tests, notes, by_speaker)


def fold_task(recipe: Recipe, corpus: Corpus, fold: int) -> Task:
    """The splits of one fold: the corpus's own where it has them, otherwise cut from it.

    Raises:
        DataError: some rows have a split and others none, or a split is missing.
    """
    manifest = corpus.manifest
    weight = corpus.recordings.seconds
    if not manifest.splits:
        manifest = cross_validation(
            manifest, recipe.folds, fold, recipe.split_seed, weight, corpus.prompt, corpus.by_speaker
        )
    missing = {"train", "dev", "test"} - set(manifest.splits)
    if missing or any(row.split is None for row in manifest):
        raise DataError(
            f"the rows name the splits {', '.join(manifest.splits)}, but "
            f"{', '.join(sorted(missing)) or 'that of some rows'} is missing. "
            "Name train, dev and test on every row, or on none."
        )
    if recipe.train_minutes is not None:
        train = take_seconds(manifest.split("train"), 60 * recipe.train_minutes, recipe.split_seed, weight)
        kept = {row.id for row in train}
        rows = tuple(row for row in manifest if row.split != "train" or row.id in kept)
        manifest = Manifest(rows, manifest.ledger)
    language = recipe.language or next((row.language for row in manifest if row.language), None)
    return Task(manifest, corpus.recordings, corpus.tests, language, corpus.notes)


def run(
    recipe: Recipe,
    out: Path,
    encoder: Encoder | None = None,
    corpus: Corpus | None = None,
    resume: bool = False,
    reached: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Run a recipe: every fold, the pooled figures, then the baselines, the verdict and the report.

    One fold alone is a plain run folder; several lie under ``folds/``, and the top holds what is pooled.

    Args:
        recipe: what to do.
        out: the run folder.
        encoder: the source, where it is loaded already.
        corpus: the data, where it is open already.
        resume: go on where an earlier run stopped.
        reached: called with what the folds reached, before the baselines begin.

    Raises:
        SettingsError: the folder holds another run, or the source is of another family than the recipe's.
    """
    encoder = encoder or load_encoder(recipe.source)
    if encoder.family != recipe.family:
        raise SettingsError(f"{recipe.name}: the source is a {encoder.family}, the recipe says {recipe.family}.")
    if (out / "recipe.json").is_file() and not resume:
        raise SettingsError(f"{out}: holds a run already. Give --resume to go on with it, or another --out.")
    corpus = corpus or open_corpus(recipe, encoder.sample_rate)
    write_json(out / "recipe.json", recipe.config())
    numbers = range(recipe.folds) if recipe.run_folds is None else recipe.run_folds
    if corpus.manifest.splits:
        numbers = (0,)
    tasks = {fold: fold_task(recipe, corpus, fold) for fold in numbers}
    for test in (*corpus.tests.values(), *(task.manifest.split("test") for task in tasks.values())):
        refuse_contamination(encoder.card, test)
    folders = {fold: out if len(tasks) == 1 else out / "folds" / str(fold) for fold in tasks}
    outcomes = [
        run_trial(folders[fold], encoder, task, recipe.transfer, recipe.settings, resume)
        for fold, task in tasks.items()
    ]
    if len(tasks) > 1:
        write_ledger(out / "ledger.jsonl", corpus.manifest.ledger)
        pool_predictions(out, folders)
    together = outcomes[0] if len(outcomes) == 1 else pooled(outcomes)
    reached(together)
    chosen = list(tasks)[: recipe.scratch.folds]
    baselines = [_baseline(recipe, out, folders[fold], encoder, tasks[fold]) for fold in chosen]
    outcome = with_verdict(together, outcomes, baselines)
    write_json(out / "metrics.json", outcome.metrics)
    write_card(out)
    write_report(out)
    return outcome


def _baseline(recipe: Recipe, out: Path, folder: Path, encoder: Encoder, task: Task) -> Outcome:
    """Scratch on one fold; the rate is searched for on the first and kept for the others."""
    rates = recipe.scratch.rates
    chosen_path = out / "baselines" / "scratch_rate.json"
    if len(rates) > 1 and not chosen_path.is_file():
        found = {}
        for rate in rates:
            trial = out / "baselines" / f"search_{rate:g}"
            settings = replace(_longer(recipe.settings, recipe.scratch.search), lr=rate)
            run_trial(trial, encoder, task, scratch_transfer(), settings, True)
            found[rate] = min(row["dev"]["cer"]["value"] for row in read_lines(trial / "history.jsonl"))
        write_json(chosen_path, {"rate": min(found, key=lambda rate: found[rate]), "dev": found})
    rate = rates[0] if len(rates) == 1 else read_json(chosen_path)["rate"]
    settings = replace(_longer(recipe.settings, recipe.scratch.factor), lr=rate)
    return run_trial(folder / "baselines" / "scratch", encoder, task, scratch_transfer(), settings, True)


def _longer(settings: FitSettings, factor: float) -> FitSettings:
    """The same training with a budget ``factor`` times as large."""
    epochs = None if settings.epochs is None else settings.epochs * factor
    minutes = None if settings.minutes is None else settings.minutes * factor
    return replace(settings, steps=max(1, round(settings.steps * factor)), epochs=epochs, minutes=minutes)


def defaults(data: str, source: str, family: str, language: str | None) -> Recipe:
    """What ``adapt`` does where nothing else is said: settings by family, chosen on dev of the recipes' languages."""
    if family == "whisper":
        # The rates and the joining of recipes/whisper_tiny_en_to_it_ctc, chosen on French.
        gentle = Transfer((Rule(r"encoder\..*", scale=0.04), Rule(r"objective\..*")))
        settings = FitSettings(epochs=20, lr=4e-3, batches=BatchSettings(seconds=20, join=10))
        return Recipe("adapt", (data,), source, "whisper", language=language, transfer=gentle, settings=settings)
    settings = FitSettings(epochs=30, lr=1e-3)
    return Recipe("adapt", (data,), source, "conformer", language=language, settings=settings)
