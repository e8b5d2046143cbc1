"""Recipe: one cross-language adaptation as a frozen value, and the running of it over folds and baselines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from speechtransfer.baseline import Baseline, Scratch
from speechtransfer.checkpoint import of_fold, write_json
from speechtransfer.continuing import refuse_other_run, with_its_baseline
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import SettingsError
from speechtransfer.evaluate import refuse_contamination, refuse_repeats
from speechtransfer.keeping import write_splits
from speechtransfer.manifest import write_ledger
from speechtransfer.pooling import pool_predictions, pooled, with_verdict
from speechtransfer.report import write_card, write_report
from speechtransfer.schedule import FitSettings
from speechtransfer.sources import DEFAULT_SOURCE, load_encoder
from speechtransfer.spotting import Keywords
from speechtransfer.tasks import Corpus, fold_task, open_corpus
from speechtransfer.textsettings import ContractSettings
from speechtransfer.transfer import Transfer
from speechtransfer.trial import Outcome, run_trial
from speechtransfer.unitsettings import UnitSettings


@dataclass(frozen=True)
class Distillation:
    """A larger encoder whose frames are learnt beside the transcripts; the baseline from scratch learns them too.

    Attributes:
        teacher: as the command line's ``--source``; None for none.
        block: whose output is learnt; None is the last.
        weight: of its error beside the recogniser's loss.
    """

    teacher: str | None = None
    block: str | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a weight that teaches nothing.

        Raises:
            SettingsError: it is not above zero.
        """
        if not self.weight > 0:
            raise SettingsError(f"distillation.weight={self.weight} must be above zero.")


@dataclass(frozen=True)
class Recipe:
    """One adaptation.

    Attributes:
        name: the folder under ``recipes/``.
        data: what to adapt to, as the command line's DATA; several are joined.
        source: as the command line's ``--source``.
        source_language: whose adapter to take of a source that has one for each of many languages (MMS).
        family: of the source; ``--smoke`` takes a tiny random encoder of it.
        task: ``ctc``, a recogniser, ``keywords``, a spotter, or ``grades``, a number for each recording.
        language: ISO 639-3 of the data; None takes it from the rows.
        transfer: rules, cut, fresh and graft.
        settings: of the training.
        train_minutes: how much of the training split to use; None is all.
        language_model: order of a character n-gram over the training texts alone, which a recogniser decodes
            with as far as that helps on dev; 0 for none.
        train_clips: how many recordings of each keyword to use, by whomever; None is all.
        train_speakers: how many speakers to use, each with all recordings of every keyword; None is all.
        folds: into how many a corpus without splits is cut.
        run_folds: which of them to run; None is all.
        draws: how many times each fold is run, where ``train_clips``, ``train_speakers`` or ``train_minutes`` draws
            a part of its training rows: other ones each time. Figures are the means over the draws.
        split_seed: of the cut; apart from every training seed.
        split_by: what must not cross splits beside prompts: ``auto`` takes speakers where two or more are
            known and no row names its group, ``prompt`` never; ``span`` cuts through recordings too, where there are
            too few of them (one interview), and the figures say so.
        tests: further test sets, name to DATA; none of it is trained on.
        scratch: the from-scratch baseline.
        speaker_pattern: a regular expression whose first group finds the speaker in a recording's path,
            for corpora that say it nowhere else.
        keywords: the head of a spotter; its pooling, hidden layers and dropout are those of grades too.
        heads: ``one`` output layer of a recogniser, or one for each ``language``.
        distillation: a teacher to learn from beside the transcripts.
        negatives: DATA in which none of the keywords is said: stretches of it are learnt as ``_unknown_``, and on
            its test part false accepts are counted.
        texts: text without sound (a file, a folder of ``.txt`` or ``.html`` files, ``debian:fortunes-ru``), on which
            a second n-gram is counted; what is a prompt of dev or a test is left out.
        contract: what transcripts pass before training, scoring and use.
        units: what a recogniser's outputs stand for.
        keep_splits: an earlier run on part of the data, whose dev and test are kept; one fold is run.
    """

    name: str
    data: tuple[str, ...]
    source: str = DEFAULT_SOURCE
    family: str = "conformer"
    task: Literal["ctc", "keywords", "grades"] = "ctc"
    language: str | None = None
    transfer: Transfer = field(default_factory=Transfer)
    settings: FitSettings = field(default_factory=FitSettings)
    train_minutes: float | None = None
    folds: int = 5
    run_folds: tuple[int, ...] | None = None
    split_seed: int = 0
    split_by: Literal["auto", "prompt", "span"] = "auto"
    tests: Mapping[str, str] = field(default_factory=dict)
    scratch: Scratch = field(default_factory=Scratch)
    speaker_pattern: str | None = None
    keywords: Keywords = field(default_factory=Keywords)
    train_clips: int | None = None
    language_model: int = 0
    source_language: str | None = None
    heads: Literal["one", "language"] = "one"
    distillation: Distillation = field(default_factory=Distillation)
    negatives: tuple[str, ...] = ()
    draws: int = 1
    texts: tuple[str, ...] = ()
    contract: ContractSettings = field(default_factory=ContractSettings)
    units: UnitSettings = field(default_factory=UnitSettings)
    keep_splits: str | None = None
    train_speakers: int | None = None

    def __post_init__(self) -> None:
        """Refuse a pattern that finds no speaker, and parts that are none.

        Raises:
            SettingsError: data given twice; a pattern that is none, or has no group; no clip of a word, or clips of a
                transcript; an order below zero; negatives of a recogniser; a teacher or units of anything
                else; draws of everything; texts without a language model, or of one language for several.
        """
        if twice := sorted({name for name in self.data if self.data.count(name) > 1}):
            raise SettingsError(f"{', '.join(twice)}: is given twice. Name each of the data once.")
        amounts = (self.train_clips, self.train_speakers, self.train_minutes)
        if self.draws < 1 or (self.draws > 1 and not any(amounts)):
            raise SettingsError(
                f"draws={self.draws}: one or more; more need train_clips, train_speakers or train_minutes to draw from."
            )
        if self.language_model < 0:
            raise SettingsError(f"language_model={self.language_model} is an order: zero for none, or more.")
        if self.texts and (not self.language_model or self.heads == "language"):
            raise SettingsError("texts are for the language model of one recogniser: language_model=6, heads=one.")
        untrained = self.settings.steps == 0 and self.settings.epochs is None and self.settings.minutes is None
        if untrained and self.scratch.folds:
            raise SettingsError("settings.steps=0 trains nothing, so there is no fair baseline from scratch beside it.")
        if self.negatives and self.task != "keywords":
            raise SettingsError("negatives are speech without keywords: the task must be keywords.")
        used = {"keywords": self.keywords.changed, "grades": ("pooling", "hidden", "dropout")}.get(self.task, ())
        if idle := [name for name in self.keywords.changed if name not in used]:
            raise SettingsError(f"keywords.{', '.join(idle)} would do nothing where the task is {self.task}.")
        if self.distillation.teacher is not None and self.task != "ctc":
            raise SettingsError("a teacher is learnt from beside transcripts: the task must be ctc.")
        if self.units != UnitSettings() and self.task != "ctc":
            raise SettingsError("units are what a recogniser writes: the task must be ctc.")
        for name, count in (("train_clips", self.train_clips), ("train_speakers", self.train_speakers)):
            if count is not None and (count < 1 or self.task != "keywords"):
                raise SettingsError(f"{name}={count} must be one or more, and the task keywords.")
        if self.train_clips is not None and self.train_speakers is not None:
            raise SettingsError("train_clips and train_speakers are two amounts: give one of them.")
        try:
            groups = re.compile(self.speaker_pattern or "()").groups
        except re.error as error:
            raise SettingsError(
                f"speaker_pattern={self.speaker_pattern!r} is no regular expression: {error}."
            ) from error
        if not groups:
            raise SettingsError(f"speaker_pattern={self.speaker_pattern!r} has no group (...) around the speaker.")

    @property
    def first_fold(self) -> int:
        """The number of the first fold that is run."""
        return self.run_folds[0] if self.run_folds else 0

    def trainings(self) -> float:
        """How much is trained in all, in units of one fold's transfer: the folds, the search, the baselines."""
        folds = self.draws * (self.folds if self.run_folds is None else len(self.run_folds))
        if self.keep_splits is not None:
            folds = self.draws
        return folds + self.scratch.trainings(folds)

    def config(self) -> dict[str, Any]:
        """Plain values, for ``recipe.json`` and the configuration's hash."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values


def run(
    recipe: Recipe,
    out: Path,
    encoder: Encoder | None = None,
    corpus: Corpus | None = None,
    resume: bool = False,
    reached: Callable[[Outcome], None] = lambda outcome: None,
    commit: str | None = None,
    audio_roots: Sequence[str] = (),
) -> Outcome:
    """Run a recipe: every fold, the pooled figures, then the baselines, the verdict and the report.

    A source that is a run of several folds has a model for each: a fold goes on from its own, and never from one that
    learnt from what it tests.

    One fold alone is a plain run folder; several lie under ``folds/``, and the top holds what is pooled.

    Args:
        recipe: what to do.
        out: the run folder.
        encoder: the source, where it is loaded already.
        corpus: the data, where it is open already.
        resume: go on where an earlier run stopped.
        reached: called with what the folds reached, before the baselines begin.
        commit: of the code; kept in ``recipe.json``, so that a resumed run knows where it began.
        audio_roots: folders outside the data that audio may lie in.

    Raises:
        PlanError: the source and the task do not fit, or a rule or a cut names nothing of it.
        SettingsError: the folder holds another run, the source is of another family than the recipe's, or the
            network to train from scratch hears another sample rate.
    """
    known = of_fold(recipe.source, recipe.first_fold)
    encoder = encoder or load_encoder(known, recipe.source_language)
    if encoder.family != recipe.family:
        raise SettingsError(f"{recipe.name}: the source is a {encoder.family}, the recipe says {recipe.family}.")
    refuse_other_run(recipe, out, resume)
    recipe = with_its_baseline(recipe, out, resume)
    beside = Baseline.of(recipe.scratch, out, encoder, recipe.transfer.cut)
    corpus = corpus or open_corpus(recipe, encoder.sample_rate, tuple(audio_roots))
    folds = range(recipe.folds) if recipe.run_folds is None else recipe.run_folds
    if corpus.manifest.splits or recipe.keep_splits is not None:
        folds = (0,)
    numbers = [draw * recipe.folds + fold for draw in range(recipe.draws) for fold in folds]
    tasks = {number: replace(fold_task(recipe, corpus, number), shared=len(numbers) > 1) for number in numbers}
    sources = {number: of_fold(recipe.source, number) for number in numbers}

    def begun(number: int) -> Encoder:
        # One at a time, since they may be large.
        return encoder if sources[number] == known else load_encoder(sources[number], recipe.source_language)

    for number, task in tasks.items():
        tested = [row for rows in task.tests.values() for row in rows]
        refuse_contamination(begun(number).card, tested)
        refuse_repeats((*task.manifest.split("train"), *task.manifest.split("dev")), tested)
    # What cannot be built is refused before hours of training, and before a folder is begun that other settings,
    # mended ones, could not go on with.
    recipe.transfer.apply(encoder, tasks[numbers[0]].objective())
    if recipe.scratch.folds:
        beside.model(tasks[numbers[0]])
    write_json(out / "recipe.json", {**recipe.config(), "commit": commit})
    folders = {fold: out if len(tasks) == 1 else out / "folds" / str(fold) for fold in tasks}
    outcomes = []
    for fold, task in tasks.items():
        if task.cut is not None and not (folders[fold] / "metrics.json").is_file():
            write_splits(folders[fold], task.cut)
        settings = _seeded(recipe, fold)
        outcomes.append(run_trial(folders[fold], begun(fold), task, recipe.transfer, settings, resume))
        if settings.minutes is not None:  # timed once; everything after follows its steps
            fixed = replace(recipe.settings, steps=outcomes[0].metrics["steps"], minutes=None)
            recipe = replace(recipe, settings=fixed)
            write_json(out / "recipe.json", {**recipe.config(), "commit": commit})
    if len(tasks) > 1:
        write_ledger(out / "ledger.jsonl", corpus.manifest.ledger)
        pool_predictions(out, {number: folders[number] for number in numbers[: len(folds)]})
    together = pooled(outcomes, recipe.draws)
    reached(together)
    chosen = numbers[: min(recipe.scratch.folds, len(folds))]  # of the first draw
    baselines = [beside.train(fold if len(tasks) > 1 else None, tasks[fold], _seeded(recipe, fold)) for fold in chosen]
    outcome = with_verdict(together, outcomes, baselines, recipe.scratch.name)
    write_json(out / "metrics.json", outcome.metrics)
    write_card(out)
    write_report(out)
    return outcome


def _seeded(recipe: Recipe, fold: int) -> FitSettings:
    """Each fold has a training seed of its own; the first has the recipe's."""
    return replace(recipe.settings, seed=recipe.settings.seed + fold)
