"""Every recipe, found recursively: three smoke steps, and a README whose table is that of results.jsonl."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from speechtransfer import catalogue
from speechtransfer.amounts import described, lines
from speechtransfer.objectives import Ctc
from speechtransfer.recipe import Recipe, run
from speechtransfer.record import BEGIN, END, summary
from speechtransfer.vocabulary import Vocabulary

RECIPES = Path(__file__).parents[1] / "recipes"
FOLDERS = sorted(path.parent for path in RECIPES.rglob("recipe.py"))
VARIANTS = [(folder, name) for folder in FOLDERS for name in catalogue.find(str(folder))[1]]


def test_there_are_recipes() -> None:
    assert len(FOLDERS) >= 4


@pytest.mark.parametrize(("folder", "variant"), VARIANTS, ids=[f"{folder.name}-{name}" for folder, name in VARIANTS])
def test_smoke(folder: Path, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)  # drawn in test_cli
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))  # where a teacher keeps what it heard
    torch.set_num_threads(1)
    before = (folder / "results.jsonl").read_bytes() if (folder / "results.jsonl").is_file() else None
    recipe = catalogue.find(str(folder))[1][variant]
    assert recipe.name == folder.name
    small, encoder = catalogue.smoke(recipe)
    _, plan = small.transfer.apply(encoder, _objective())
    assert plan.trainable > 0
    outcome = run(small, tmp_path / "run", encoder)
    assert outcome.metrics["steps"] == (0 if recipe.keywords.loss == "match" else 3)
    metric = {"ctc": "cer", "keywords": "accuracy", "grades": "mae"}[recipe.task]
    assert outcome.scores["test"][metric].count > 0
    assert list(outcome.metrics["baselines"]) == ([small.scratch.name] if recipe.scratch.folds else [])
    after = (folder / "results.jsonl").read_bytes() if (folder / "results.jsonl").is_file() else None
    assert before == after


def test_of_another_language_nothing_of_the_first_is_left() -> None:
    first = Recipe("to_a", ("a",), source="runs/to_a/4min", language="aaa", tests={"t": "a2"}, language_model=6)
    other = catalogue.of_language(first, "to_b", "b", "bbb", ("b.txt",))
    assert other == Recipe("to_b", ("b",), source="runs/to_b/4min", language="bbb", language_model=6)
    told = catalogue.of_language(replace(first, source="many", texts=("a.txt",)), "to_b", "b", "bbb", ("b.txt",))
    assert (told.source, told.texts) == ("many", ("b.txt",))


def _objective() -> Ctc:
    return Ctc(Vocabulary.from_texts(["abc"]))


def shown(readme: Path) -> str:
    return readme.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_table_is_that_of_the_results(folder: Path) -> None:
    results = catalogue.results_of(folder)
    assert shown(folder / "README.md") == catalogue.shown(results)
    drawn = folder / catalogue.PICTURE
    assert drawn.is_file() == (catalogue.PICTURE in catalogue.shown(results))
    if drawn.is_file():  # other versions of matplotlib draw the same otherwise
        assert described(lines(results)) in "".join(ElementTree.parse(drawn).getroot().itertext())


def test_the_readme_shows_every_recipe() -> None:
    everything = [result for folder in FOLDERS for result in catalogue.results_of(folder)]
    assert shown(RECIPES.parent / "README.md") == summary(everything)


def test_the_readme_shows_every_family() -> None:
    text = (RECIPES.parent / "README.md").read_text(encoding="utf-8")
    assert text.partition(catalogue.FAMILIES[0])[2].partition(catalogue.FAMILIES[1])[0].strip() == catalogue.families()


@pytest.mark.parametrize("family", sorted(catalogue._TINY))
def test_every_smoke_encoder_is_tiny(family: str) -> None:
    _, encoder = catalogue.smoke(Recipe("r", ("x",), family=family))
    assert sum(parameter.numel() for parameter in encoder.parameters()) < 50_000


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_docstring_states_command_and_expectation(folder: Path) -> None:
    text = (folder / "recipe.py").read_text(encoding="utf-8")
    assert "Command: " in text
    assert "Expected: " in text
