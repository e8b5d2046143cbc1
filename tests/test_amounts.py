"""The picture of figures over amounts: which results share a line, and the same file for the same figures."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from speechtransfer.amounts import lines, picture
from speechtransfer.record import Result


def result(variant: str, metrics: dict[str, Any], **config: Any) -> Result:
    whole = {"baselines": {}, "verdict": {"difference": figure(0.1)}, **metrics}
    return Result("r", variant, "pooled", 1, config, "hash", "commit", {}, {}, "cpu", 1.0, 10, whole)


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "low": value / 2, "high": value * 1.1, "count": 50}


def test_variants_that_differ_in_amount_are_a_line_beside_their_baselines() -> None:
    results = [
        result(
            "4min",
            {"test": {"cer": figure(0.3)}, "baselines": {"scratch": {"test": {"cer": figure(0.5)}}}},
            train_minutes=4.0,
        ),
        result(
            "all",
            {"test": {"cer": figure(0.2)}, "baselines": {"scratch": {"test": {"cer": figure(0.4)}}}},
            train_minutes=None,
        ),
        result("other", {"test": {"cer": figure(0.1)}}),
    ]
    (drawn,) = lines(results).values()
    assert {name: {amount: one.value for amount, one in points.items()} for name, points in drawn.items()} == {
        "transfer": {4.0: 0.3, None: 0.2},
        "scratch": {4.0: 0.5, None: 0.4},
    }


def test_sources_are_lines_of_their_own_and_open_sets_are_drawn_by_detection() -> None:
    results = [
        result(f"{source}-{clips}clips", {"test": {"accuracy": figure(0.5), "eer": figure(0.1)}}, train_clips=clips)
        for source in ("many", "compact")
        for clips in (1, 5)
    ]
    opened = {
        "test": {"accuracy": figure(0.9)},
        "open": {"accuracy": figure(0.7), "detected_at_1": figure(0.6), "detected_at_5": figure(0.8)},
    }
    results += [result("open5clips", opened, train_clips=5), result("open", opened, train_clips=None)]
    found = lines(results)
    assert set(found) == {("test", "accuracy"), ("open", "detected_at_5"), ("open", "detected_at_1")}
    assert set(found["test", "accuracy"]) == {"many", "compact", "open"}
    assert found["open", "detected_at_1"] == {
        "open": {5: found["open", "detected_at_1"]["open"][5], None: found["open", "detected_at_1"]["open"][None]}
    }
    drawn = picture(results)
    assert drawn == picture(results)
    assert drawn is not None
    words = "".join(ElementTree.fromstring(drawn).itertext())
    for shown in (
        "many",
        "compact",
        "open",
        "recordings of each word",
        "all",
        "detected at 5% false accepts, open",
        "50%",
    ):
        assert shown in words


def test_one_amount_is_no_picture() -> None:
    results = [
        result("4min", {"test": {"cer": figure(0.3)}}, train_minutes=4.0),
        result("muon", {"test": {"cer": figure(0.2)}}),
    ]
    assert lines(results) == {}
    assert picture(results) is None
    assert picture([]) is None
    assert picture(
        [
            result("a-1clip", {"test": {"mae": figure(2)}}, train_clips=1),
            result("a-3clips", {"test": {"mae": figure(1)}}, train_clips=3),
        ]
    )
