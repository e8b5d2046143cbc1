"""Regress against hand-made squared errors; graded labels end to end, from class folders of numbers to a report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import tone
from framed import LENGTHS, batch, frames, row

from speechtransfer.baseline import Scratch
from speechtransfer.checkpoint import load
from speechtransfer.defaults import defaults
from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.evaluate import predict
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.objectives import KINDS, Regress
from speechtransfer.objectives.regress import Scale, as_grade
from speechtransfer.recipe import run
from speechtransfer.score import Estimate, Transcription, score_grades
from speechtransfer.verdict import judge


def attached(**values: Any) -> Regress:
    torch.manual_seed(0)
    objective = Regress(Scale(3.0, 2.0), **{"dropout": 0.0, **values})
    objective.attach(6, 0.02)
    return objective.eval()


def test_the_loss_is_the_weighted_mean_squared_error_in_spreads() -> None:
    objective = attached()
    assert objective.output is not None
    weight, bias = objective.output.weight[0].detach(), objective.output.bias[0].detach()
    found = [float(weight @ frames().values[item, :length].mean(0) + bias) for item, length in enumerate(LENGTHS)]
    loss = objective.loss(frames(), batch("5", None, "-1.5", weight=(1.0, 9.0, 3.0)), 0.0)["regress"].detach()
    expected = (1 * (found[0] - 1.0) ** 2 + 3 * (found[2] + 2.25) ** 2) / 4
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    given = [float(one.value) for one in objective.predict(frames(padding=7.0))]
    assert given == pytest.approx([3 + 2 * one for one in found], rel=1e-4)
    assert objective.predict(frames())[0].confidence is None


def test_a_batch_without_numbers_gives_a_zero_attached_to_the_graph() -> None:
    objective = attached()
    loss = objective.loss(frames(), batch(None, "x", None), 0.0)["regress"]
    loss.backward()
    assert float(loss.detach()) == 0.0


@pytest.mark.parametrize("pooling", ["mean", "max", "attentive", "parts"])
def test_it_learns_eight_items(pooling: Any) -> None:
    torch.manual_seed(0)
    objective = Regress(Scale(4.5, 2.3), pooling=pooling, hidden=(16,), dropout=0.0)
    objective.attach(6, 0.02)
    values = Frames(torch.randn(8, 5, 6), torch.full((8,), 5), 0.02)
    said = tuple(str(number) for number in range(1, 9))
    eight = Batch(torch.zeros(8, 1), torch.ones(8, dtype=torch.int64), said, torch.ones(8), {"label": said})
    optimizer = torch.optim.Adam(objective.parameters(), 0.02)
    for _ in range(300):
        optimizer.zero_grad()
        objective.loss(values, eight, 0.0)["regress"].backward()
        optimizer.step()
    assert [round(float(one.value)) for one in objective.eval().predict(values)] == list(range(1, 9))


def test_the_scale_is_that_of_the_training_rows() -> None:
    objective = Regress.from_rows([row("1"), row("4"), row("x"), row(None), row("1")])
    assert objective.scale.middle == 2.0
    assert objective.scale.spread == pytest.approx(np.std([1, 4, 1]))
    with pytest.raises(DataError, match="1 different numbers as label"):
        Regress.from_rows([row("2"), row("2.0"), row("nan")])


@pytest.mark.parametrize(("text", "grade"), [("3", 3.0), (" 2.5 ", 2.5), ("-1e3", -1000.0), ("inf", None), ("a", None)])
def test_a_grade_is_a_finite_number(text: str, grade: float | None) -> None:
    assert as_grade(text) == grade


@pytest.mark.parametrize(
    ("label", "count", "reason"),
    [(None, 3, "no label"), ("high", 3, "no number as label: high"), ("3", 0, "shorter than"), ("3", 1, None)],
)
def test_what_cannot_be_learnt_from_is_told_why(label: str | None, count: int, reason: str | None) -> None:
    told = attached().unfit(row(label), count)
    assert told == reason or (reason is not None and told is not None and told.startswith(reason))


def test_settings_round_trip_and_refusals() -> None:
    objective = attached(hidden=(4,), pooling="max", dropout=0.2)
    saved = json.loads(json.dumps({"kind": objective.kind, **objective.settings()}))
    again = KINDS[saved["kind"]].from_settings(saved)
    again.attach(6, 0.02)
    again.load_state_dict(objective.state_dict())
    assert again.settings() == objective.settings()
    assert again.eval().predict(frames()) == objective.predict(frames())
    with pytest.raises(PlanError, match="no width yet"):
        Regress(Scale(0.0, 1.0)).grades(frames())
    for wrong in (lambda: Scale(0.0, 0.0), lambda: Scale(float("nan"), 1.0), lambda: attached(dropout=1.0)):
        with pytest.raises(SettingsError, match="regress"):
            wrong()


def graded(pairs: list[tuple[float, float]]) -> list[Transcription]:
    return [Transcription(f"u{place}", str(a), str(b), f"g{place % 9}") for place, (a, b) in enumerate(pairs)]


def test_scores_are_those_of_numpy_with_intervals_around_them() -> None:
    draw = np.random.default_rng(0)
    said = draw.normal(100, 3, 60)
    heard = said + draw.normal(0.5, 1, 60)
    scores = score_grades(graded(list(zip(said, heard, strict=True))))
    assert scores["mae"].value == pytest.approx(np.abs(heard - said).mean())
    assert scores["rmse"].value == pytest.approx(np.sqrt(np.square(heard - said).mean()))
    assert scores["correlation"].value == pytest.approx(np.corrcoef(said, heard)[0, 1])
    for one in scores.metrics.values():
        assert one.low < one.value < one.high
        assert one.count == 60
    assert str(Estimate.read("mae", scores["mae"].as_dict())).endswith("] of 60")
    assert "%" not in str(scores)
    assert set(score_grades(graded([(1, 2), (1, 3)])).metrics) == {"mae", "rmse"}  # nothing to correlate


def test_a_verdict_is_in_the_units_of_the_grades() -> None:
    near = score_grades(graded([(place, place + 0.5) for place in range(30)]))
    far = score_grades(graded([(place, place + 2 + place % 2) for place in range(30)]))
    said = str(judge(near, far, "mae"))
    assert said.startswith("Transfer helps: mean absolute error 0.5 against 2.5 from scratch")
    assert "(difference -2, 95% interval" in said


def test_grades_are_learnt_scored_reported_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for grade in (1, 2, 3, 4):
        for take in range(6):
            tone(tmp_path / "data" / str(grade) / f"{take}.wav", 400.0 * grade, draw)
    usual = replace(defaults(str(tmp_path / "data"), "many", "conformer", None, "grades"), source="random:conformer")
    assert usual.keywords.windows == 0
    scratch = Scratch(rates=(1e-3,), factor=1.0, folds=1)
    settings = replace(usual.settings, steps=4, epochs=None)
    outcome = run(replace(usual, settings=settings, folds=2, scratch=scratch), tmp_path / "run")
    assert list(outcome.metrics["test"])[:3] == ["mae", "rmse", "correlation"]
    assert outcome.metrics["test"]["mae"]["count"] == 24
    assert outcome.metrics["verdict"]["metric"] == "mae"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Always giving the median label would be off by 1 in the mean" in page
    assert "off by" in page and "Suspicious" not in page
    model = load(tmp_path / "run" / "folds" / "0")
    rows = Manifest(tuple(Utterance(path) for path in sorted((tmp_path / "data").rglob("*.wav"))[:2]))
    assert all(as_grade(one.value) is not None for one in predict(model, rows))
    with pytest.raises(DataError, match="'high', no number"):
        model.objective.score([row("high")], predict(model, Manifest(rows.rows[:1])))


def test_half_precision_rounds_no_labels() -> None:
    """On a GPU the network computes in bf16, in which 2003 is 2000."""
    objective = attached()
    objective.scale, years = Scale(2000.0, 6.0), batch("1997", "2003", "2009")
    exact = objective.loss(frames(), years, 0.0)["regress"].detach()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = objective.loss(frames(), years, 0.0)["regress"].detach()
    assert float(rounded) == pytest.approx(float(exact), rel=0.02)
