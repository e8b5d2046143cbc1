"""Many folds as one: figures from every utterance, further tests averaged, verdicts on the same folds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechtransfer.pooling import pool_predictions, pooled, with_verdict
from speechtransfer.score import Scores, Transcription, score_transcriptions
from speechtransfer.trial import Outcome

FACTS = {"unseen_floor": {"value": 0.5}, "seconds": 1.0, "whole_seconds": 2.0, "audio_seconds": 3.0, "not_learnable": 1}


def scored(fold: int, wrong: int, count: int = 20) -> Scores:
    rows = [Transcription(f"{fold}-{k}", "abcd", "abce" if k < wrong else "abcd", f"{fold}-{k}") for k in range(count)]
    return score_transcriptions(rows)


def outcome(fold: int, wrong: int, further: int = 0) -> Outcome:
    scores = {"test": scored(fold, wrong), "other": scored(99, further)}
    facts = {
        **FACTS,
        "peak_memory_mb": 100 + fold,
        "padding_waste": 0.01 * fold,
        "steps": 5,
        "manifest": {"test": f"hash{fold}"},
        "language_model": {"order": 6, "errors": 3 + fold, "errors_without": 5, "characters": 40, "chosen": None},
    }
    return Outcome(scores, {**{name: one.as_dict() for name, one in scores.items()}, **facts})


def test_the_test_is_pooled_and_further_tests_are_averaged() -> None:
    together = pooled([outcome(0, 4, further=2), outcome(1, 8, further=6)])
    assert together.scores["test"]["cer"].value == pytest.approx(12 / 160)
    assert together.scores["test"]["cer"].count == 160
    assert together.scores["other"]["cer"].value == pytest.approx(8 / 160)
    assert together.scores["other"]["cer"].count == 80
    assert len(together.scores["other"].rows) == 20
    assert together.metrics["seconds"] == 2.0
    assert together.metrics["audio_seconds"] == 3.0
    assert together.metrics["manifest"] == {"0/test": "hash0", "1/test": "hash1"}
    assert "unseen_floor" not in together.metrics
    told = {"order": 6, "errors": 7, "errors_without": 10, "characters": 80}
    assert together.metrics["language_model"] == told
    assert together.metrics["folds"] == 2
    assert together.metrics["peak_memory_mb"] == 101
    assert together.metrics["padding_waste"] == pytest.approx(0.01)


def test_over_several_draws_every_utterance_counts_once_and_figures_are_means() -> None:
    together = pooled([outcome(0, 4), outcome(1, 8), outcome(0, 6), outcome(1, 2)], draws=2)
    figure = together.scores["test"]["cer"]
    assert figure.value == pytest.approx((12 + 8) / 320)
    assert figure.count == 160
    assert figure.low < figure.value < figure.high
    assert len(together.scores["test"].rows) == 40
    assert (together.metrics["folds"], together.metrics["draws"]) == (2, 2)
    assert together.metrics["seconds"] == 4.0


def test_a_further_test_of_each_fold_s_own_is_pooled_as_the_test_is() -> None:
    folds = [outcome(0, 4), outcome(1, 8)]
    for number, one in enumerate(folds):
        one.scores["windows"] = scored(10 + number, 2 * number)  # type: ignore[index]
    figure = pooled(folds).scores["windows"]["cer"]
    assert (figure.value, figure.count) == (pytest.approx(2 / 160), 160)


def test_hours_without_words_are_counted_once_however_often_they_are_heard() -> None:
    folds = [outcome(number % 2, 1) for number in range(4)]
    for number, one in enumerate(folds):
        heard = {"false_accepts_per_hour": {"count": number}, "hours": 0.5, "manifest": f"part {number % 2}"}
        one.metrics["negatives"] = heard  # type: ignore[index]
    entry = pooled(folds, draws=2).metrics["negatives"]
    assert entry["hours"] == 1.0
    assert entry["false_accepts_per_hour"]["count"] == 2 + 3


def test_the_verdict_compares_the_folds_that_both_were_tested_on() -> None:
    folds = [outcome(0, 2), outcome(1, 20)]
    baseline = [outcome(0, 18)]
    judged = with_verdict(pooled(folds), folds, baseline, "scratch")
    difference = judged.metrics["verdict"]["difference"]
    assert difference["value"] == pytest.approx((2 - 18) / 80)
    assert difference["significant"]
    assert judged.metrics["baselines"]["scratch"]["test"]["cer"]["value"] == pytest.approx(18 / 80)
    assert judged.metrics["test"]["cer"]["value"] == pytest.approx(22 / 160)


def test_without_a_baseline_nothing_is_judged() -> None:
    one = outcome(0, 2)
    assert with_verdict(one, [one], [], "scratch") is one


def test_predictions_of_all_folds_lie_together(tmp_path: Path) -> None:
    folders = {}
    for fold in range(2):
        folders[fold] = tmp_path / "folds" / str(fold)
        (folders[fold] / "predictions").mkdir(parents=True)
        line = json.dumps({"id": f"{fold}", "reference": "a\u2028b", "hypothesis": ""}, ensure_ascii=False)
        (folders[fold] / "predictions" / "test.jsonl").write_text(line + "\n", encoding="utf-8")
    pool_predictions(tmp_path, folders)
    text = (tmp_path / "predictions" / "test.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.rstrip("\n").split("\n")]
    assert [(line["id"], line["fold"]) for line in lines] == [("0", 0), ("1", 1)]
