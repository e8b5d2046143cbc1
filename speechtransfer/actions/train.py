"""What adapt, plan and run do: train a recipe, or say what training it would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from speechtransfer import catalogue
from speechtransfer.baseline import Baseline
from speechtransfer.checkpoint import of_fold
from speechtransfer.continuing import begun_at, refuse_other_run, with_its_baseline
from speechtransfer.corpora import detect
from speechtransfer.defaults import defaults
from speechtransfer.doctor import learnable
from speechtransfer.errors import SettingsError
from speechtransfer.fit import forecast
from speechtransfer.overrides import override
from speechtransfer.recipe import Recipe, run
from speechtransfer.record import clean_commit
from speechtransfer.sources import DEFAULT_SOURCE, load_encoder
from speechtransfer.tasks import Corpus, fold_task, open_corpus
from speechtransfer.telling import tell_data, tell_outcomes, tell_units
from speechtransfer.trial import Outcome, peak_memory_mb

if TYPE_CHECKING:
    from speechtransfer.cli import Adapt, Plan, Run, Training

_ALL = "all"
#: Words, and clips of each, in a batch of a loss that compares clips, where nothing else is said.
_EPISODE = (10, 4)
#: Of a recipe, what the command line of adapt and of plan DATA says otherwise than by --set.
_OPTIONS = {"data": "DATA", "task": "--task", "source": "--source", "source_language": "--source-language"}
#: Notes on a test whose speakers may have been heard before.
_SEEN = {"speaker-dependent", "recording-dependent"}


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
    recipe = _overridden(replace(recipe, settings=settings), flags.set)
    if flags.minutes is None:
        return recipe
    minutes = flags.minutes / (runs * recipe.trainings())
    return replace(recipe, settings=replace(recipe.settings, minutes=minutes, epochs=None))


def _overridden(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """A recipe with --set's fields; steps are a budget instead of the recipe's own."""
    if any(assignment.startswith("settings.steps=") for assignment in assignments):
        recipe = replace(recipe, settings=replace(recipe.settings, epochs=None, minutes=None))
    # What the others mean depends on the loss, wherever it stands.
    return override(recipe, sorted(assignments, key=lambda one: not one.startswith("keywords.loss=")))


def _refuse_settings_of_options(assignments: Sequence[str]) -> None:
    """Raise where --set names what defaults follow from, or what is loaded before: an option has to say that."""
    for assignment in assignments:
        name = assignment.split("=")[0]
        if name in _OPTIONS:
            raise SettingsError(f"--set {assignment}: give {_OPTIONS[name]} in its place.")


def _comparing(recipe: Recipe, asked: Sequence[str]) -> Recipe:
    """A recipe that compares clips: with batches in which there is something to learn from, or without any training.

    What is no word has no place of its own among the words: windows of it are made where they were asked for.
    """
    if recipe.task != "keywords" or recipe.keywords.loss == "classify":
        return recipe
    if recipe.keywords.metric == "source":  # names of words are no reason to take rows over, but a metric is
        recipe = replace(recipe, transfer=replace(recipe.transfer, graft="shared"))
    wanted = any(assignment.startswith("settings.epochs=") for assignment in asked)
    if recipe.keywords.loss == "match" and recipe.settings.epochs is not None and not wanted:  # nor steps, nor minutes
        recipe = replace(recipe, settings=replace(recipe.settings, steps=0, epochs=None))
    batches, learns = recipe.settings.batches, recipe.settings.steps > 0
    if not any(assignment.startswith("keywords.windows=") for assignment in asked):
        recipe = replace(recipe, keywords=replace(recipe.keywords, windows=0))
    if batches.episode or not learns:
        return recipe
    return replace(recipe, settings=replace(recipe.settings, batches=replace(batches, episode=_EPISODE)))


def adapt(console: Console, request: Adapt) -> int:
    """Adapt a source to DATA: one run an amount, each beside its baseline."""
    flags = request.training
    _require_data(request.data)
    _refuse_settings_of_options(flags.set)
    source = request.source or DEFAULT_SOURCE
    encoder = load_encoder(of_fold(source, 0), request.source_language)  # adapt begins with the first fold
    for data in request.data:
        console.print(f"{data}: read as {request.format or detect(data)}")
    usual = defaults(request.data[0], source, encoder.family, request.language, request.task)
    named = replace(
        usual,
        data=request.data,
        speaker_pattern=request.speaker_pattern,
        source_language=request.source_language,
        negatives=request.negatives,
        texts=request.texts,
        keep_splits=None if request.keep_splits is None else str(request.keep_splits),
    )
    if request.keep_splits is not None and request.cross_validate:
        raise SettingsError("--keep-splits keeps one test, --cross-validate has five: give one of them.")
    base = _one_fold(named, request.cross_validate)
    quick = flags.minutes is not None
    # Under a budget the search for the scratch rate takes short trials, and scratch twice the transfer's steps.
    scratch = replace(base.scratch, search=0.25, factor=2.0) if quick else base.scratch
    base = replace(base, scratch=replace(scratch, folds=scratch.folds if flags.baseline else 0))
    outs = {
        amount: request.out if len(request.amounts) == 1 else request.out / _folder(amount, base.task)
        for amount in request.amounts
    }
    recipes = {}
    for amount, out in outs.items():
        part = with_its_baseline(_part(base, amount), out, flags.resume)
        recipes[amount] = _comparing(_with_flags(part, flags, len(outs)), flags.set)
        refuse_other_run(recipes[amount], out, flags.resume)
    first = next(iter(recipes.values()))
    corpus = open_corpus(first, encoder.sample_rate, tuple(map(str, request.audio_root)), request.format)
    if request.cross_validate and corpus.manifest.splits:
        raise SettingsError(f"{', '.join(request.data)}: the rows name their own splits. Leave out --cross-validate.")
    tell_data(console, corpus, first)
    if request.require_unseen_speakers and any(
        _SEEN & {*notes} for notes in fold_task(first, corpus, 0).notes.values()
    ):
        raise SettingsError(
            f"{', '.join(request.data)}: the test's speakers are not known to be unseen. Name every row's speaker."
        )
    if flags.minutes is not None:
        recipes = _share(recipes, flags.minutes, corpus)
    elif len(recipes) > 1:
        # An amount that there is not is refused before hours of training on the others, as sharing does too.
        for recipe in recipes.values():
            fold_task(recipe, corpus, 0)
    outcomes = {}
    for amount, out in outs.items():
        unit = "recordings of each word of" if base.task == "keywords" else "minutes of"
        console.rule(f"{amount} {'of' if amount == _ALL else unit} the training speech")
        tell_units(console, recipes[amount], corpus)
        outcomes[out] = run(recipes[amount], out, encoder, corpus, flags.resume)
    tell_outcomes(console, outcomes)
    return 0


def _require_data(data: tuple[str, ...]) -> None:
    if not data:
        raise SettingsError("there is nothing to learn from. Give DATA: a manifest, a folder, or a name.")


def _share(recipes: Mapping[str, Recipe], minutes: float, corpus: Corpus) -> dict[str, Recipe]:
    """A budget shared among the amounts in proportion to their speech.

    Each then passes as often over its recordings; in equal shares the largest amount would be starved.
    """
    trained = {amount: fold_task(recipe, corpus, 0).manifest.split("train") for amount, recipe in recipes.items()}
    sizes = {amount: sum(map(corpus.recordings.seconds, rows)) for amount, rows in trained.items()}
    return {
        amount: replace(
            recipe,
            settings=replace(
                recipe.settings, minutes=minutes * sizes[amount] / sum(sizes.values()) / recipe.trainings()
            ),
        )
        for amount, recipe in recipes.items()
    }


def _one_fold(recipe: Recipe, cross_validate: bool) -> Recipe:
    """What ``adapt`` trains of a recipe's folds: the first, unless all are asked for."""
    return recipe if cross_validate else replace(recipe, run_folds=(0,))


def _part(recipe: Recipe, amount: str) -> Recipe:
    """The recipe on an amount of training speech: minutes of it, or recordings of each keyword."""
    if amount == _ALL:
        return recipe
    try:
        if recipe.task == "keywords":
            return replace(recipe, train_clips=int(amount))
        return replace(recipe, train_minutes=float(amount))
    except ValueError:
        unit = "recordings of each word" if recipe.task == "keywords" else "minutes of speech"
        raise SettingsError(f"--amounts {amount}: give {unit}, or all.") from None


def _folder(amount: str, task: str) -> str:
    return amount if amount == _ALL else f"{amount}{'clips' if task == 'keywords' else 'min'}"


def plan(console: Console, request: Plan) -> int:
    """Print the Plan, hours a split, and a forecast; train nothing."""
    _require_data(request.target)
    if len(request.target) == 1 and catalogue.is_recipe(request.target[0]):
        _, recipes = catalogue.find(request.target[0])
    else:
        _refuse_settings_of_options(request.set)
        source = request.source or DEFAULT_SOURCE
        family = load_encoder(of_fold(source, 0), request.source_language).family
        usual = defaults(request.target[0], source, family, request.language, request.task)
        alone = _one_fold(replace(usual, data=request.target, speaker_pattern=request.speaker_pattern), False)
        recipes = {"adapt": replace(alone, scratch=replace(alone.scratch, folds=0))}
    roots = tuple(map(str, request.audio_root))
    for name, recipe in recipes.items():
        recipe = _comparing(_overridden(recipe, request.set), request.set)
        source = of_fold(request.source or recipe.source, recipe.first_fold)
        encoder = load_encoder(source, request.source_language or recipe.source_language)
        corpus = open_corpus(recipe, encoder.sample_rate, roots, request.format)
        if corpus.manifest.splits:  # there are no other folds of them
            recipe = _one_fold(recipe, False)
        tell_units(console, recipe, corpus)
        task = fold_task(recipe, corpus, recipe.first_fold)
        model, planned = recipe.transfer.apply(encoder, task.objective())
        console.rule(name)
        console.print(str(planned))
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
        if recipe.scratch.network is not None and recipe.scratch.folds:
            other = Baseline.of(recipe.scratch, Path(), encoder, None).model(task)
            extra = forecast(*other, train, dev, recipe.settings).seconds - cost.seconds
            minutes += extra * recipe.scratch.trainings(folds * recipe.draws) / 60
        console.print(
            f"forecast: {cost.steps} steps a fold; {folds} folds with their baselines take {minutes:.1f} minutes, the "
            f"model and its optimiser {cost.memory_mb:.0f} MB (peak of this process {peak_memory_mb()} MiB), a fold "
            f"{cost.disk_mb:.0f} MB of disk"
        )
    return 0


def run_recipe(console: Console, request: Run) -> int:
    """Run the variants of a recipe; record them where the checkout is clean."""
    flags = request.training
    if request.smoke and (flags != type(flags)(resume=flags.resume) or request.audio_root):
        raise SettingsError("--smoke takes three steps of synthetic speech, and no other settings. Leave them out.")
    folder, recipes = catalogue.find(request.recipe)
    commit = clean_commit(folder)
    outcomes = {}
    chosen = catalogue.choose(recipes, request.variant)
    for variant, recipe in chosen.items():
        out = (request.out or Path("runs") / recipe.name) / variant
        if request.smoke:
            console.print(f"{recipe.name} {variant}: smoke run on synthetic speech; nothing is recorded")
            small, encoder = catalogue.smoke(recipe)
            outcomes[out] = run(small, out, encoder, resume=flags.resume)
            continue
        if flags.baseline and not recipe.scratch.folds:
            recipe = replace(recipe, scratch=replace(recipe.scratch, folds=1))
        changed = _with_flags(with_its_baseline(recipe, out, flags.resume), flags, len(chosen))

        begun = begun_at(out, commit)

        def write_down(
            outcome: Outcome, variant: str = variant, recipe: Recipe = changed, begun: str | None = begun
        ) -> None:
            console.print(catalogue.record(folder, recipe, variant, outcome, begun))

        roots = tuple(map(str, request.audio_root))
        outcomes[out] = run(changed, out, None, None, flags.resume, write_down, begun, roots)
        if changed.scratch.folds:
            write_down(outcomes[out])
    tell_outcomes(console, outcomes)
    return 0
