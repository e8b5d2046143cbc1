"""The picture of figures over amounts: which results share a line, and the same file for the same figures."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from speechtransfer.amounts import lines, picture
from speechtransfer.record import Result

Values = dict[str, dict[float | None, float]]


def result(variant: str, metrics: dict[str, Any], **config: Any) -> Result:
    whole = {"baselines": {}, "verdict": {"difference": figure(0.1)}, "folds": 5, **metrics}
    return Result("r", variant, "pooled", 1, config, "hash", "commit", {}, {}, "cpu", 1.0, 10, whole)


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "low": value / 2, "high": value * 1.1, "count": 50}


def drawn(results: list[Result], test: str = "test", metric: str = "accuracy") -> Values:
    found = lines(results)[test, metric]
    return {name: {amount: one.value for amount, one in points.items()} for name, points in found.items()}


def test_variants_that_differ_in_amount_are_a_line_beside_their_baselines() -> None:
    results = [
        result(
            name,
            {
                "test": {"cer": figure(0.3 * part)},
                "baselines": {"scratch": {"test": {"cer": figure(part)}, "folds": folds}},
            },
            train_minutes=amount,
            settings={"lr": 1.0, "epochs": epochs},
            scratch={"folds": folds},
        )
        for name, amount, part, epochs, folds in (("4min", 4.0, 0.9, 32, 2), ("all", None, 0.5, 20, 1))
    ]
    results.append(result("other", {"test": {"cer": figure(0.1)}}))
    assert drawn(results, metric="cer") == {
        "transfer": {4.0: pytest.approx(0.27), None: 0.15},
        # Not the same folds as the transfer's, so it says so.
        "scratch (1 or 2 of 5 folds)": {4.0: 0.9, None: 0.5},
    }


def test_methods_are_lines_of_their_own_whatever_they_are_called() -> None:
    results = [
        result(f"{source}-{clips}clips", {"test": {"accuracy": figure(0.1 * clips)}}, train_clips=clips, source=source)
        for source in ("many", "compact")
        for clips in (1, 5)
    ]
    # All recordings by another loss, and other variants whose names only end like an amount.
    results.append(result("many", {"test": {"accuracy": figure(0.9)}}, train_clips=None, source="many", loss="other"))
    results.append(result("small", {"test": {"accuracy": figure(0.9)}}, train_clips=None, source="small"))
    assert drawn(results) == {"many": {1: 0.1, 5: 0.5}, "compact": {1: 0.1, 5: 0.5}}
    # Of two methods with one name the second goes by its first variant's own.
    results += [
        result(f"many-{n}clips", {"test": {"accuracy": figure(0.2)}}, train_clips=n, source="x") for n in (3, 5)
    ]
    assert list(drawn(results)) == ["many", "compact", "many-3clips"]


def test_recordings_by_the_same_people_are_another_line() -> None:
    results = [
        result(f"{n}{what}", {"test": {"accuracy": figure(value * n)}}, **{amount: n})
        for what, amount, value in (("clips", "train_clips", 0.1), ("speakers", "train_speakers", 0.2))
        for n in (2, 4)
    ]
    assert drawn(results) == {"transfer": {2: 0.2, 4: 0.4}, "speakers": {2: 0.4, 4: 0.8}}


def test_open_sets_are_drawn_by_detection() -> None:
    results = [
        result(
            name,
            {
                "test": {"accuracy": figure(0.9)},
                "open": {"accuracy": figure(0.7), "detected_at_1": figure(0.6), "detected_at_5": figure(detected)},
            },
            train_clips=clips,
        )
        for name, clips, detected in (("open5clips", 5, 0.75), ("open", None, 0.8))
    ]
    assert set(lines(results)) == {("test", "accuracy"), ("open", "detected_at_5"), ("open", "detected_at_1")}
    assert drawn(results, "open", "detected_at_5") == {"open": {5: 0.75, None: 0.8}}


def test_the_file_says_in_words_what_it_shows() -> None:
    results = [
        result(f"{name}-{n}clips", {"test": {"accuracy": figure(0.1 * n)}}, train_clips=n, source=name)
        for name in ("many", "few & far")
        for n in (1, 5)
    ]
    file = picture(results)
    assert file == picture(results)
    assert file is not None
    words = "".join(ElementTree.fromstring(file).itertext())
    for shown in ("recordings of each word", "accuracy (test), few & far: 1: 10.0% [5.0, 11.0] of 50; 5: 50.0%", "50%"):
        assert shown in words


def test_one_amount_is_no_picture() -> None:
    one, other = ("4min", {"test": {"cer": figure(0.3)}}), ("muon", {"test": {"cer": figure(0.2)}})
    results = [result(*one, train_minutes=4.0), result(*other, train_minutes=None, optimizer="muon")]
    assert lines(results) == {}
    assert picture(results) is None
    assert picture([]) is None
    grades = [result(f"a-{n}clips", {"test": {"mae": figure(float(n))}}, train_clips=n) for n in (1, 3)]
    assert picture(grades) is not None
