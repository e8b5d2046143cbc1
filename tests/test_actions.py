"""What a verb asks for: how `adapt` spends its budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechtransfer import cli
from speechtransfer.recipe import Recipe

SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"


def test_a_budget_passes_as_often_over_every_amount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets: dict[str, Recipe] = {}

    def note(recipe: Recipe, out: Path, *_: object) -> None:
        budgets[out.name] = recipe

    monkeypatch.setattr("speechtransfer.actions.train.run", note)
    monkeypatch.setattr("speechtransfer.actions.train.tell_outcomes", lambda *_: None)
    command = f"adapt {SYNTHETIC} --source random:conformer --baseline scratch --minutes 10 --amounts 0.1 0.2 all --out"
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command.split(), str(tmp_path / "run")])
    assert not stopped.value.code
    minutes = {name: recipe.settings.minutes or 0.0 for name, recipe in budgets.items()}
    assert minutes["0.2min"] == pytest.approx(2 * minutes["0.1min"], rel=0.3)  # an amount ends with a whole utterance
    assert minutes["all"] > minutes["0.2min"]
    assert sum(minutes[name] * recipe.trainings() for name, recipe in budgets.items()) == pytest.approx(10)
