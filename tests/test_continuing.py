"""A run goes on with itself alone, also where it was begun before a setting existed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from speechtransfer.baseline import Scratch
from speechtransfer.checkpoint import write_json
from speechtransfer.continuing import refuse_other_run, with_its_baseline
from speechtransfer.errors import SettingsError
from speechtransfer.recipe import Recipe
from speechtransfer.spotting import Keywords

RECIPE = Recipe("r", ("words",), task="keywords")


def begun(folder: Path) -> None:
    """A run of a version that knew neither a word's loss nor episodes."""
    config = RECIPE.config()
    del config["keywords"]["loss"], config["settings"]["batches"]["episode"]
    write_json(folder / "recipe.json", {**config, "commit": None})


def test_a_setting_that_a_run_did_not_know_has_its_default(tmp_path: Path) -> None:
    begun(tmp_path)
    refuse_other_run(RECIPE, tmp_path, resume=True)


def test_another_value_of_it_is_another_run(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(SettingsError, match="begun with another keywords"):
        refuse_other_run(replace(RECIPE, keywords=Keywords(loss="triplet")), tmp_path, resume=True)
    batches = replace(RECIPE.settings.batches, episode=(4, 4))
    other = replace(RECIPE, settings=replace(RECIPE.settings, batches=batches))
    with pytest.raises(SettingsError, match=r"begun with another settings\.batches"):
        refuse_other_run(other, tmp_path, resume=True)


def test_a_run_is_not_begun_twice_nor_over_other_files(tmp_path: Path) -> None:
    refuse_other_run(RECIPE, tmp_path / "new", resume=False)
    begun(tmp_path)
    with pytest.raises(SettingsError, match="Give --resume"):
        refuse_other_run(RECIPE, tmp_path, resume=False)
    (tmp_path / "recipe.json").rename(tmp_path / "else.json")
    with pytest.raises(SettingsError, match="is not empty, and no run either"):
        refuse_other_run(RECIPE, tmp_path, resume=True)


def test_a_baseline_is_not_taken_for_one_that_is_trained_otherwise(tmp_path: Path) -> None:
    judged = replace(RECIPE, scratch=Scratch(rates=(1e-3,), factor=2.0, folds=1))
    write_json(tmp_path / "recipe.json", {**judged.config(), "commit": None})
    for more in (Scratch(rates=(1e-3,), factor=6.0, folds=1), Scratch(rates=(1e-3, 2e-3), factor=2.0, folds=1)):
        with pytest.raises(SettingsError, match=r"begun with another scratch\.(factor|rates)"):
            refuse_other_run(replace(RECIPE, scratch=more), tmp_path, resume=True)
    for fine in (judged.scratch, replace(judged.scratch, folds=3), Scratch(network="random:compact"), Scratch(folds=0)):
        refuse_other_run(replace(RECIPE, scratch=fine), tmp_path, resume=True)


def test_a_run_that_goes_on_keeps_the_baseline_it_was_judged_by(tmp_path: Path) -> None:
    judged = replace(RECIPE, scratch=Scratch(rates=(1e-3,), factor=2.0, folds=1))
    write_json(tmp_path / "recipe.json", {**judged.config(), "commit": None})
    without = replace(RECIPE, scratch=Scratch(folds=0))
    assert with_its_baseline(without, tmp_path, resume=True) == judged
    assert with_its_baseline(without, tmp_path / "new", resume=True) == without
    other = replace(RECIPE, scratch=Scratch(folds=1, network="random:compact"))
    assert with_its_baseline(other, tmp_path, resume=True) == other
