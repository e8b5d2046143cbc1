"""Doubts about sound: each is found where it is planted, alone, and nothing is found in what is sound."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from speechtransfer.manifest import Utterance
from speechtransfer.measure import Measured
from speechtransfer.soundness import crossing, sounded

PLAIN = Measured(2.0, 16_000, -3.0, -20.0, 0.0, 0.0, 8000.0, -40.0, -40.0, "")


def corpus(count: int = 30, **odd: Any) -> tuple[list[Utterance], dict[str, Measured]]:
    """Plain utterances, the last but for what is odd."""
    rows = [Utterance(Path(f"/sound/{place}.wav"), text=f"text {place}") for place in range(count)]
    heard = {row.id: replace(PLAIN, content=row.id) for row in rows}
    heard[rows[-1].id] = replace(heard[rows[-1].id], **odd)
    return rows, heard


def test_a_sound_corpus_has_no_symptom() -> None:
    assert sounded(*corpus()) == []
    assert sounded([], {}) == []


@pytest.mark.parametrize(
    ("odd", "kind", "detail"),
    [
        ({"clipped": 0.002}, "clipped", "0.20% of its samples"),
        ({"offset": -0.03}, "an offset", "its mean is -0.0300 of full scale, its sound 0.1000 about it"),
        ({"sample_rate": 44_100, "bandwidth": 22_050.0}, "another sample rate", "44100 Hz, where 29 of 30 have 16000"),
        ({"bandwidth": 3875.0}, "a narrow band", "nothing above 3875 Hz of the 8000"),
        ({"peak": -40.0, "level": -60.0}, "hardly any sound", "its loudest sample is -40 dB"),
        ({"begins": -2.0}, "it begins in the middle of a sound", "-2 dB of its loud parts"),
        ({"ends": 1.0}, "it ends in the middle of a sound", "+1 dB of its loud parts"),
    ],
)
def test_each_kind_is_found_where_it_is(odd: dict[str, Any], kind: str, detail: str) -> None:
    (found,) = sounded(*corpus(**odd))
    assert (Path(found.id).stem, found.kind) == ("29", kind)
    assert detail in found.detail


@pytest.mark.parametrize(
    "odd",
    [
        {"clipped": 5e-5},
        {"offset": 0.02},
        {"offset": 1e-4, "peak": -32.0, "level": -80.0},
        {"bandwidth": 7000.0},
        {"peak": -25.0},
        {"ends": -10.0},
        {"sample_rate": 16_000},
    ],
)
def test_what_varies_by_nature_is_no_symptom(odd: dict[str, Any]) -> None:
    assert sounded(*corpus(**odd)) == []


def test_a_telephone_s_rate_is_named_once_and_not_as_a_band_too() -> None:
    (found,) = sounded(*corpus(sample_rate=8000, bandwidth=4000.0))
    assert found.kind == "another sample rate"


def test_what_most_of_a_corpus_is_it_is_not_doubted_for() -> None:
    """A telephone corpus, and one that is cut to its words."""
    rows, heard = corpus()
    narrow = {name: replace(one, bandwidth=3875.0, begins=-4.0, ends=-4.0) for name, one in heard.items()}
    assert sounded(rows, narrow) == []


def test_few_utterances_are_judged_by_themselves_alone() -> None:
    assert sounded(*corpus(19, bandwidth=3875.0, peak=-60.0, level=-80.0)) == []
    (found,) = sounded(*corpus(19, clipped=0.1))
    assert found.kind == "clipped"


def test_the_same_sound_twice() -> None:
    rows, heard = corpus(content="/sound/3.wav")
    found = sounded(rows, heard)
    assert [(Path(one.id).stem, one.kind) for one in found] == [
        ("3", "the same sound with another text"),
        ("29", "the same sound with another text"),
    ]
    assert found[0].detail == "29.wav, which says 'text 29'"
    rows[-1] = replace(rows[-1], text="text 3")
    assert {one.kind for one in sounded(rows, heard)} == {"the same sound under another name"}


@pytest.mark.parametrize(
    ("splits", "errors"),
    [(("train", "test"), 1), (("train", "train"), 0), (("train", None), 0), ((None, None), 0), (("dev", "test"), 1)],
)
def test_the_same_sound_in_two_splits_is_an_error(splits: tuple[str | None, str | None], errors: int) -> None:
    rows, heard = corpus(content="/sound/3.wav")
    rows[3], rows[-1] = replace(rows[3], split=splits[0]), replace(rows[-1], split=splits[1])
    found = crossing(rows, heard)
    assert len(found) == errors
    assert all("3.wav" in one and "29.wav" in one and "at once" in one for one in found)


def test_spans_of_one_file_are_the_doctor_s_to_name() -> None:
    """The same span in two splits is an error by its path already."""
    one, two = (Utterance(Path("/a.wav"), 0.0, 1.0, split=split) for split in ("train", "test"))
    assert crossing([one, two], {one.id: PLAIN}) == []


def test_spans_that_overlap() -> None:
    path, times = Path("/sound/a.wav"), [(0.0, 2.0), (1.95, 4.0), (3.0, 3.5), (3.2, 6.0), (6.0, 7.0), (6.0, 7.0)]
    rows = [Utterance(path, text=f"text {place}", start=start, end=end) for place, (start, end) in enumerate(times)]
    rows.append(Utterance(Path("/sound/b.wav"), text="another recording", start=3.0, end=4.0))
    heard = {row.id: replace(PLAIN, content=row.id, seconds=(row.end or 0.0) - (row.start or 0.0)) for row in rows}
    found = {one.id: one.detail for one in sounded(rows, heard) if one.kind == "it overlaps another utterance"}
    # Of each the one that it shares most with, by hand; 50 ms are how a border is drawn.
    shared = {1: (0.8, 3), 2: (0.5, 1), 3: (0.8, 1)}
    assert [*found] == [rows[place].id for place in shared]
    for place, (seconds, other) in shared.items():
        assert found[rows[place].id].startswith(f"{seconds} s of it are in {Path(rows[other].id).name} too")
    labels = [replace(row, text=None, label="word") for row in rows]
    assert not [one for one in sounded(labels, heard) if one.kind == "it overlaps another utterance"]
    ends = [Utterance(path, text="to the end", start=6.5), Utterance(path, text="all of it")]
    heard = {
        row.id: replace(PLAIN, content=row.id, seconds=seconds) for row, seconds in zip(ends, (0.5, 7), strict=True)
    }
    assert [one.detail[:5] for one in sounded(ends, heard)] == ["0.5 s", "0.5 s"]


@pytest.mark.parametrize("seed", range(5))
def test_overlaps_are_those_that_every_pair_shows(seed: int) -> None:
    rng, path = random.Random(seed), Path("/sound/a.wav")
    edges = [(start := rng.uniform(0, 30), start + rng.uniform(0.05, 3)) for _ in range(40)]
    rows = [Utterance(path, text="text", start=start, end=end) for start, end in edges]
    heard = {
        row.id: replace(PLAIN, content=row.id, seconds=end - start)
        for row, (start, end) in zip(rows, edges, strict=True)
    }
    found = {one.id for one in sounded(rows, heard) if one.kind == "it overlaps another utterance"}
    assert found == {
        row.id
        for place, (row, (start, end)) in enumerate(zip(rows, edges, strict=True))
        if any(min(end, until) - max(start, since) > 0.1 for since, until in edges[:place] + edges[place + 1 :])
    }
