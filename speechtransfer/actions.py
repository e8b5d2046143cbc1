"""What each verb of the command line does, said in a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from speechtransfer import catalogue
from speechtransfer.audio import Recordings
from speechtransfer.checkpoint import load as load_model
from speechtransfer.corpora import detect
from speechtransfer.corpora import load as load_corpus
from speechtransfer.doctor import examine, learnable, require
from speechtransfer.errors import SettingsError
from speechtransfer.evaluate import evaluate, predict
from speechtransfer.files import write_lines
from speechtransfer.fit import forecast
from speechtransfer.manifest import Manifest, Utterance, ledger_counts
from speechtransfer.overrides import override
from speechtransfer.recipe import Recipe, begun_at, defaults, refuse_other_run, run
from speechtransfer.record import clean_commit
from speechtransfer.score import Estimate
from speechtransfer.sources import DEFAULT_SOURCE, load_encoder
from speechtransfer.tasks import Corpus, fold_task, open_corpus
from speechtransfer.text import TextContract
from speechtransfer.trial import Outcome, peak_memory_mb

if TYPE_CHECKING:
    from speechtransfer.cli import Adapt, Run, Training

#: What ``check`` reads at; any rate would do, since no encoder is chosen yet.
_CHECK_RATE = 16_000
_ALL = "all"


def check(console: Console, data: str, format: str | None, audio_roots: Sequence[Path], out: Path | None) -> int:
    """Examine a data set; exit status 1 where training is forbidden."""
    console.print(f"{data}: read as {format or detect(data)}")
    manifest = load_corpus(data, format, audio_roots)
    examined = examine(manifest, Recordings(_CHECK_RATE), TextContract(), "text" if _has_text(manifest) else "label")
    table = Table("split", "utterances", "minutes")
    for name, seconds in examined.seconds.items():
        count = sum((row.split or "all") == name for row in examined.manifest)
        table.add_row(name, str(count), f"{seconds / 60:.1f}")
    console.print(table)
    for reason, count in ledger_counts(examined.manifest.ledger).items():
        console.print(f"{count:6d}  {escape(reason)}")
    if out is not None:
        verdicts = [{"verdict": "ok", "audio": row.id, "split": row.split} for row in examined.manifest]
        verdicts += [
            {"verdict": "drop" if row.action == "dropped" else "warn", **_plain(row)}
            for row in examined.manifest.ledger
        ]
        write_lines(out, verdicts)
    for error in examined.errors:
        console.print(f"error: {escape(error)}", style="bold red")
    return 1 if examined.errors else 0


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("audio", "split", "action", "reason", "where")}


def _has_text(manifest: Manifest) -> bool:
    return any(row.text is not None for row in manifest) or not any(row.label is not None for row in manifest)


def _with_flags(recipe: Recipe, flags: Training, runs: int) -> Recipe:
    """A recipe with the command's flags; a budget in minutes is shared by all trainings of so many such runs."""
    settings = recipe.settings
    if flags.steps is not None and flags.minutes is not None:
        raise SettingsError("--steps and --minutes are two budgets: give one of them.")
    if flags.steps is not None:
        settings = replace(settings, steps=flags.steps, epochs=None, minutes=None)
    if flags.seed is not None:
        settings = replace(settings, seed=flags.seed)
    if flags.checkpoint_every is not None:
        settings = replace(settings, checkpoint_every=flags.checkpoint_every)
    if any(assignment.startswith("settings.steps=") for assignment in flags.set):
        settings = replace(settings, epochs=None, minutes=None)
    recipe = override(replace(recipe, settings=settings), flags.set)
    if flags.minutes is None:
        return recipe
    minutes = flags.minutes / (runs * recipe.trainings())
    return replace(recipe, settings=replace(recipe.settings, minutes=minutes, epochs=None))


def adapt(console: Console, request: Adapt) -> int:
    """Adapt a source to DATA: one run an amount, each beside its baseline."""
    flags = request.training
    source = request.source or DEFAULT_SOURCE
    encoder = load_encoder(source)
    console.print(f"{request.data}: read as {request.format or detect(request.data)}")
    base = _one_fold(defaults(request.data, source, encoder.family, request.language), request.cross_validate)
    quick = flags.minutes is not None
    # Under a budget the search for the scratch rate takes short trials, and scratch twice the transfer's steps.
    scratch = replace(base.scratch, search=0.25, factor=2.0) if quick else base.scratch
    base = replace(base, scratch=replace(scratch, folds=scratch.folds if flags.baseline else 0))
    outs = {
        amount: request.out if len(request.amounts) == 1 else request.out / _folder(amount)
        for amount in request.amounts
    }
    recipes = {amount: _with_flags(replace(base, train_minutes=_minutes(amount)), flags, len(outs)) for amount in outs}
    for amount, out in outs.items():
        refuse_other_run(recipes[amount], out, flags.resume)
    corpus = open_corpus(base, encoder.sample_rate, tuple(map(str, request.audio_root)), request.format)
    _say_corpus(console, corpus)
    dependent = any(fold_task(base, corpus, 0).notes.values())
    if request.require_unseen_speakers and dependent:
        raise SettingsError(
            f"{request.data}: the test's speakers are not known to be unseen. Name every row's speaker."
        )
    outcomes = {}
    for amount, out in outs.items():
        console.rule(f"{'all' if amount == 'all' else amount + ' minutes'} of training speech")
        outcomes[out] = run(recipes[amount], out, encoder, corpus, flags.resume)
    _say_outcomes(console, outcomes)
    return 0


def _one_fold(recipe: Recipe, cross_validate: bool) -> Recipe:
    """What ``adapt`` trains of a recipe's folds: the first, unless all are asked for."""
    return recipe if cross_validate else replace(recipe, run_folds=(0,))


def _minutes(amount: str) -> float | None:
    if amount == _ALL:
        return None
    try:
        return float(amount)
    except ValueError:
        raise SettingsError(f"--amounts {amount}: give minutes of speech, or all.") from None


def _folder(amount: str) -> str:
    return amount if amount == _ALL else f"{amount}min"


def _say_corpus(console: Console, corpus: Corpus) -> None:
    seconds = sum(corpus.recordings.seconds(row) for row in corpus.manifest)
    dropped = sum(row.action == "dropped" for row in corpus.manifest.ledger)
    console.print(f"{len(corpus.manifest)} utterances, {seconds / 60:.1f} minutes; {dropped} dropped into the ledger")


def _say_outcomes(console: Console, outcomes: Mapping[Path, Outcome]) -> None:
    """The table of error rates, the verdicts, three decoded examples, and where the reports lie."""
    table = Table("run", "test", "system", "CER", "WER")
    for out, outcome in outcomes.items():
        systems = {"transfer": outcome.metrics, **outcome.metrics["baselines"]}
        for system, figures in systems.items():
            for name in outcome.scores:
                if name in figures:
                    cer, wer = (_figure(figures[name][metric]) for metric in ("cer", "wer"))
                    table.add_row(out.name, name, system, cer, wer)
    console.print(table)
    for out, outcome in outcomes.items():
        if outcome.metrics["verdict"]:
            console.print(f"{out.name}: {outcome.metrics['verdict']['text']}")
    out, outcome = list(outcomes.items())[-1]
    rows = sorted(outcome.scores["test"].rows, key=lambda row: (row.errors / row.count, row.id))
    for row in (rows[len(rows) // 4], rows[len(rows) // 2], rows[3 * len(rows) // 4]):
        console.print(f"  said:  {escape(row.reference)}\n  heard: {escape(row.hypothesis)}\n")
    for out, outcome in outcomes.items():
        facts = outcome.metrics
        if facts.get("unseen_floor", {}).get("value"):
            console.print(f"{out.name}: no CER can be under {_figure(facts['unseen_floor'])}, unseen characters")
        console.print(
            f"{out / 'report.html'}  ({facts['seconds']:.0f} s of training on {facts['device']}, padding "
            f"{facts['padding_waste']:.1%}, peak memory {facts['peak_memory_mb']} MiB)"
        )


def _figure(estimate: Mapping[str, Any]) -> str:
    return str(Estimate(**estimate))


def plan(console: Console, target: str, source: str | None, language: str | None, assignments: Sequence[str]) -> int:
    """Print the Plan, hours a split, and a forecast; train nothing."""
    if catalogue.is_recipe(target):
        _, recipes = catalogue.find(target)
    else:
        family = load_encoder(source or DEFAULT_SOURCE).family
        alone = _one_fold(defaults(target, source or DEFAULT_SOURCE, family, language), False)
        recipes = {"adapt": replace(alone, scratch=replace(alone.scratch, folds=0))}
    for name, recipe in recipes.items():
        recipe = override(recipe, assignments)
        encoder = load_encoder(source or recipe.source)
        task = fold_task(recipe, open_corpus(recipe, encoder.sample_rate), (recipe.run_folds or (0,))[0])
        model, planned = recipe.transfer.apply(encoder, task.objective())
        console.rule(name)
        console.print(escape(str(planned)))
        for split in task.manifest.splits:
            rows = task.manifest.split(split)
            console.print(
                f"{split}: {len(rows)} utterances, {sum(map(task.recordings.seconds, rows)) / 3600:.3f} hours"
            )
        train = learnable(task.manifest.split("train"), model.encoder, model.objective, task.recordings)
        dev = task.manifest.split("dev")
        cost = forecast(model, planned, train, dev, recipe.settings)
        folds = len(recipe.run_folds) if recipe.run_folds else recipe.folds
        minutes = cost.seconds * recipe.trainings() / 60
        console.print(
            f"forecast: {cost.steps} steps a fold; {folds} folds with their baselines take {minutes:.1f} minutes, the "
            f"model and its optimiser {cost.memory_mb:.0f} MB (peak of this process {peak_memory_mb()} MiB), a fold "
            f"{cost.disk_mb:.0f} MB of disk"
        )
    return 0


def run_recipe(console: Console, request: Run) -> int:
    """Run the variants of a recipe; record them where the checkout is clean."""
    folder, recipes = catalogue.find(request.recipe)
    commit = clean_commit(folder)
    outcomes = {}
    chosen = catalogue.choose(recipes, request.variant)
    for variant, recipe in chosen.items():
        out = (request.out or Path("runs") / recipe.name) / variant
        if request.smoke:
            console.print(f"{recipe.name} {variant}: smoke run on synthetic speech; nothing is recorded")
            small, encoder = catalogue.smoke(recipe)
            outcomes[out] = run(small, out, encoder, resume=request.training.resume)
            continue
        if request.training.baseline and not recipe.scratch.folds:
            recipe = replace(recipe, scratch=replace(recipe.scratch, folds=1))
        changed = _with_flags(recipe, request.training, len(chosen))

        begun = begun_at(out, commit)

        def write_down(
            outcome: Outcome, variant: str = variant, recipe: Recipe = changed, begun: str | None = begun
        ) -> None:
            console.print(catalogue.record(folder, recipe, variant, outcome, begun))

        outcomes[out] = run(changed, out, None, None, request.training.resume, write_down, begun)
        if changed.scratch.folds:
            write_down(outcomes[out])
    _say_outcomes(console, outcomes)
    return 0


def score(console: Console, folder: Path, data: str, audio_roots: Sequence[Path], out: Path | None) -> int:
    """Score a run on any data: its test split where it has one, otherwise every row."""
    model = load_model(folder)
    recordings = Recordings(model.encoder.sample_rate)
    manifest = load_corpus(data, None, audio_roots)
    if "test" in manifest.splits:
        lost = tuple(row for row in manifest.ledger if row.split == "test")
        manifest = Manifest(manifest.split("test").rows, lost)
    contract = model.objective.head.contract or TextContract()
    rows = require(examine(manifest, recordings, contract))
    predictions = predict(model, rows, recordings)
    scores = evaluate(model, rows, recordings, predictions)
    console.print(str(scores))
    dropped = sum(row.action == "dropped" for row in rows.ledger)
    console.print(f"{len(rows)} utterances scored, {dropped} of {data} are unusable")
    if out is not None:
        write_lines(
            out,
            ({**vars(row), "confidence": one.confidence} for row, one in zip(scores.rows, predictions, strict=True)),
        )
    return 0


def transcribe(folder: Path, audio: Sequence[Path], as_json: bool) -> int:
    """Print one line a file."""
    model = load_model(folder)
    rows = Manifest(tuple(Utterance(path.resolve()) for path in audio))
    for path, found in zip(audio, predict(model, rows), strict=True):
        line = {"audio": str(path), "text": found.value, "confidence": round(found.confidence, 4)}
        print(json.dumps(line, ensure_ascii=False) if as_json else f"{path}\t{found.value}", flush=True)
    return 0
