"""Recipes on disk: finding them, their smoke versions, and writing down what they reached."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechtransfer.amounts import lines, picture
from speechtransfer.encoders import family, support_rows
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.errors import SettingsError
from speechtransfer.files import write_atomically
from speechtransfer.recipe import Recipe
from speechtransfer.record import Result, append, config_hash, current, read_results, summary, table, update_readme
from speechtransfer.sources import packaged_sources
from speechtransfer.trial import Outcome
from speechtransfer.unitsettings import UnitSettings

#: The picture in a recipe's folder, where it learnt from several amounts.
PICTURE = "amounts.svg"
#: Around the README's table of encoder families.
FAMILIES = "<!-- families: generated from the encoders -->", "<!-- /families -->"
#: Tiny architectures for ``--smoke``, by family.
_TINY: Mapping[str, Mapping[str, Any]] = {
    "conformer": {"width": 16, "layers": 1, "heads": 2, "kernel": 3, "expansion": 2},
    "whisper": {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32},
    "dnn": {"hidden": [16]},
    "cnn": {"size": 20, "channels": [4, 8], "hidden": 16},
    "compact": {"channels": [8, 12, 16], "kernel": 3, "strides": [2, 2]},
    "vision": {"bands": 32, "scale": 1 / 16},
    "waveform": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "conv_dim": [8, 8, 8],
        "conv_stride": [10, 8, 4],
        "conv_kernel": [10, 8, 4],
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
        # As XLS-R and MMS; a recipe may train MMS's adapters alone.
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "adapter_attn_dim": 4,
    },
}
#: The tiny conformer as the name of a source.
_SIZES = ",".join(f"{name}={value}" for name, value in _TINY["conformer"].items())


def find(path: str) -> tuple[Path, dict[str, Recipe]]:
    """The folder and the variants of a recipe; a single ``RECIPE`` is the variant ``default``.

    Args:
        path: a recipe's folder, its ``recipe.py``, or its name under ``recipes/``.

    Raises:
        SettingsError: no such recipe, or a file that defines none.
    """
    folders = _folders(path)
    folder = next((place for place in folders if (place / "recipe.py").is_file()), None)
    if folder is None:
        raise SettingsError(f"recipe {path!r}: there is no recipe.py in {', '.join(map(str, folders))}.")
    spec = importlib.util.spec_from_file_location(f"recipe_{folder.name}", folder / "recipe.py")
    if spec is None or spec.loader is None:
        raise SettingsError(f"{folder / 'recipe.py'}: cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a recipe is code of its author's, which may fail in any way
        raise SettingsError(f"{folder / 'recipe.py'}: cannot be run ({error!r}).") from error
    found = getattr(module, "RECIPES", None) or {"default": getattr(module, "RECIPE", None)}
    if not all(isinstance(recipe, Recipe) for recipe in found.values()):
        raise SettingsError(f"{folder / 'recipe.py'}: defines neither RECIPE nor RECIPES.")
    return folder, dict(found)


def of_language(recipe: Recipe, name: str, data: str, language: str, texts: tuple[str, ...] = ()) -> Recipe:
    """The same recipe for another language, under another name.

    What is of the first language alone is not taken over: its further tests, and its texts, in whose place these stand.
    A source that is one of the recipe's own runs is that run of the new one.

    Args:
        recipe: of the first language.
        name: the new recipe's folder.
        data: of the other language.
        language: ISO 639-3 of it.
        texts: of it, for a recipe that has some.
    """
    source = recipe.source.replace(f"runs/{recipe.name}/", f"runs/{name}/")
    chosen = texts if recipe.texts else ()
    return replace(recipe, name=name, data=(data,), language=language, tests={}, source=source, texts=chosen)


def on_folds(recipe: Recipe, *folds: int) -> Recipe:
    """The same recipe run on these folds, with its baseline, where it has one, on as many."""
    scratch = replace(recipe.scratch, folds=len(folds)) if recipe.scratch.folds else recipe.scratch
    return replace(recipe, run_folds=folds, scratch=scratch)


def _folders(path: str) -> list[Path]:
    candidates = [Path(path), Path("recipes") / path, Path(__file__).parents[1] / "recipes" / path]
    return [place.parent if place.name == "recipe.py" else place for place in candidates]


def is_recipe(path: str) -> bool:
    """Whether ``find`` would find a recipe's file, sound or not."""
    return any((place / "recipe.py").is_file() for place in _folders(path))


def choose(recipes: Mapping[str, Recipe], wanted: tuple[str, ...]) -> dict[str, Recipe]:
    """The wanted variants, or all of them.

    Raises:
        SettingsError: no such variant.
    """
    unknown = [name for name in wanted if name not in recipes]
    if unknown:
        raise SettingsError(f"no variant {', '.join(unknown)}; there are {', '.join(recipes)}.")
    return {name: recipes[name] for name in wanted or recipes}


def smoke(recipe: Recipe) -> tuple[Recipe, Encoder]:
    """Three steps of a recipe on the synthetic set with a tiny random encoder of the same family; none of a match."""
    synthetic = packaged_sources().parent / "synthetic"
    steps = 0 if recipe.keywords.loss == "match" else 3
    metric = "within" if recipe.keywords.metric == "source" else recipe.keywords.metric  # a random source has none
    settings = replace(recipe.settings, steps=steps, epochs=None, minutes=None, evaluations=1)
    network = recipe.scratch.network and f"random:conformer,{_SIZES}"
    folds = min(1, recipe.scratch.folds)
    scratch = replace(recipe.scratch, rates=recipe.scratch.rates[:1], factor=1.0, folds=folds, network=network)
    small = replace(
        recipe,
        data=(str(synthetic / "grades.jsonl" if recipe.task == "grades" else synthetic),),
        language="eng",
        contract=replace(recipe.contract, marks="keep"),  # English has none to strip
        heads="one",  # and it is one language
        units=UnitSettings(),  # those of another language's writing are not in English
        tests={},
        keep_splits=None,
        train_minutes=None,
        train_clips=None,
        train_speakers=None,
        draws=1,
        negatives=(),  # the synthetic set has no speech but that of its words
        keywords=replace(recipe.keywords, words=(), others="unknown", metric=metric, layers=()),  # as its cut, below
        speaker_pattern=None,
        folds=2,
        run_folds=(0,),
        transfer=replace(recipe.transfer, cut=None),  # a tiny encoder has not the blocks that are named
        settings=settings,
        scratch=scratch,
        distillation=replace(
            recipe.distillation, teacher=recipe.distillation.teacher and "random:conformer", block=None
        ),
    )
    card = SourceCard(f"tiny {recipe.family} with random weights")
    return small, family(recipe.family).from_settings(_TINY[recipe.family], card)


def record(folder: Path, recipe: Recipe, variant: str, outcome: Outcome, commit: str | None) -> str:
    """Append a finished run to ``results.jsonl`` and renew the README's table.

    Args:
        folder: the recipe's.
        recipe: as it was run.
        variant: its name in the recipe.
        outcome: what it reached.
        commit: what ``clean_commit`` gave before the run began.

    Returns:
        What was done, for people: a run with other settings, or from a tree that is dirty, is not recorded.
    """
    _, recipes = find(str(folder))
    if recipes.get(variant) != recipe:
        return "not recorded: the settings are not the recipe's own"
    if commit is None:
        return "not recorded: the checkout has uncommitted changes, or is none"
    config = recipe.config()
    known = read_results(folder / "results.jsonl")
    if any((one.variant, one.commit, one.metrics) == (variant, commit, outcome.metrics) for one in known):
        return "not recorded again: this very result is there already"
    metrics = outcome.metrics
    line = Result(
        recipe=recipe.name,
        variant=variant,
        fold="pooled",
        seed=recipe.settings.seed,
        config=config,
        config_hash=config_hash(config),
        commit=commit,
        manifest=metrics["manifest"],
        source=metrics["source"],
        hardware=metrics["device"],
        seconds=metrics["seconds"],
        trainable_parameters=metrics["trainable_parameters"],
        metrics=metrics,
    )
    append(folder / "results.jsonl", line)
    update_tables(folder.resolve().parent)
    return f"recorded in {folder / 'results.jsonl'}"


def results_of(folder: Path) -> list[Result]:
    """What a recipe reached with the settings that it has today; each with all of them, those that came later too."""
    configs = {name: recipe.config() for name, recipe in find(str(folder))[1].items()}
    found = current(read_results(folder / "results.jsonl"), configs, Recipe(name="", data=()).config())
    return [replace(one, config=configs[one.variant]) for one in found]


def shown(results: Sequence[Result]) -> str:
    """What stands in a recipe's README: its table and, where amounts differ, the picture beside it."""
    drawn = f"\n\n![Figures over the amount of speech learnt from]({PICTURE})" if lines(results) else ""
    return table(results) + drawn if results else ""


def update_tables(recipes: Path) -> None:
    """Renew the table and picture of every recipe's README, and the table of the README above ``recipes``.

    Raises:
        DataError: a README or its markers are missing.
    """
    everything: list[Result] = []
    for path in sorted(recipes.glob("*/recipe.py")):
        results = results_of(path.parent)
        update_readme(path.parent / "README.md", shown(results))
        drawn, place = picture(results), path.with_name(PICTURE)
        if drawn is None:
            place.unlink(missing_ok=True)
        else:
            write_atomically(place, drawn)
        everything += results
    update_readme(recipes.parent / "README.md", summary(everything))
    update_readme(recipes.parent / "README.md", families(), FAMILIES)


def families() -> str:
    """What each family of encoders supports, as a Markdown table."""
    header, *rows = support_rows()
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ("---",) * len(header), *rows))
