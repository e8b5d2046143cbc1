"""Splits: nothing crosses them, every row is tested once, the seed decides, and leaks are found."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer.errors import DataError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance
from speechtransfer.splits import (
    assign,
    cross_validation,
    folds,
    kept_together,
    leaks,
    take_each,
    take_seconds,
    take_speakers,
)


def rows(count: int, prompts: int, speakers: int = 1, seed: int = 0) -> Manifest:
    draw = random.Random(seed)
    return Manifest(
        tuple(
            Utterance(
                Path(f"/corpus/{index}.wav"),
                start=0.0,
                end=draw.uniform(1, 3),
                text=f"prompt {draw.randrange(prompts)}",
                speaker=f"speaker {draw.randrange(speakers)}",
            )
            for index in range(count)
        )
    )


def seconds(row: Utterance) -> float:
    return row.end - row.start


def crossing(given: Manifest, parts: tuple[tuple[int, ...], ...], key: Callable[[Utterance], str]) -> bool:
    """The naive oracle: whether any two rows of different parts share a key."""
    return any(
        key(given[one]) == key(given[two]) for left, right in combinations(parts, 2) for one in left for two in right
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by_speaker", [False, True])
def test_folds_are_disjoint_cover_everything_and_weigh_the_same(seed: int, by_speaker: bool) -> None:
    given = rows(400, 200, speakers=40, seed=seed)
    prompt = (lambda row: row.id) if by_speaker else (lambda row: row.text)
    parts = folds(given, 5, seed, seconds, prompt=prompt, by_speaker=by_speaker)
    assert sorted(index for part in parts for index in part) == list(range(400))
    assert all(list(part) == sorted(part) for part in parts)
    loads = [sum(seconds(given[index]) for index in part) for part in parts]
    assert max(loads) < 1.1 * min(loads)
    assert not crossing(given, parts, (lambda row: row.speaker) if by_speaker else (lambda row: row.text))
    assert parts == folds(given, 5, seed, seconds, prompt=prompt, by_speaker=by_speaker)


@given(
    keys=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(0, 9)), min_size=2, max_size=40
    ),
    count=st.integers(2, 5),
)
@settings(deadline=None)
def test_nothing_that_is_shared_crosses_whatever_shares_it(keys: list[tuple[int, int, int | None]], count: int) -> None:
    """Chains count too: a prompt binds two speakers, whose further prompts then go with them."""
    given = Manifest(
        tuple(
            Utterance(
                Path(f"/{audio}.wav"),
                float(index),
                index + 1.0,
                str(text),
                speaker=None if voice is None else str(voice),
            )
            for index, (audio, text, voice) in enumerate(keys)
        )
    )
    try:
        parts = folds(given, count, 0, seconds, by_speaker=True)
    except DataError:
        # The oracle: grow one set at a time until nothing shares anything with what is outside it.
        left, groups = set(range(len(given))), 0
        while left:
            group = {left.pop()}
            grown = True
            while grown:
                near = {
                    two
                    for one in group
                    for two in left
                    if given[one].audio == given[two].audio
                    or given[one].text == given[two].text
                    or (given[one].speaker is not None and given[one].speaker == given[two].speaker)
                }
                grown, group, left = bool(near), group | near, left - near
            groups += 1
        assert groups < count
        return
    assert sorted(index for part in parts for index in part) == list(range(len(given)))
    assert all(parts)
    assert not crossing(given, parts, lambda row: str(row.audio))
    assert not crossing(given, parts, lambda row: row.text)
    assert not crossing(given, parts, lambda row: row.speaker or row.id)


def test_another_seed_is_another_cut() -> None:
    given = rows(100, 100)
    assert len({folds(given, 5, seed, seconds) for seed in range(5)}) == 5


def test_long_and_short_utterances_are_in_every_part() -> None:
    """Parts are strata of like weight: none has all the long ones."""
    given = Manifest(tuple(Utterance(Path(f"/{i}.wav"), 0.0, 1.0 + i, str(i)) for i in range(50)))
    for part in folds(given, 5, 3, seconds):
        assert [index // 5 for index in part] == list(range(10))


def test_spans_of_one_recording_stay_together() -> None:
    given = Manifest(
        tuple(
            Utterance(Path(f"/c/{index // 4}.wav"), start=index, end=index + 1, text=str(index)) for index in range(40)
        )
    )
    for part in folds(given, 5, 0, seconds):
        assert len(part) == 8
        assert len({given[index].audio for index in part}) == 2


def test_a_scene_stays_together_whoever_speaks_in_it() -> None:
    given = Manifest(tuple(replace(row, group=f"scene {index % 12}") for index, row in enumerate(rows(120, 10_000))))
    parts = folds(given, 4, 0, seconds)
    assert sorted(index for part in parts for index in part) == list(range(120))
    assert not crossing(given, parts, lambda row: row.group)
    assert crossing(rows(120, 10_000), parts, lambda row: row.speaker)


@pytest.mark.parametrize("takes", [5, 8, 20])
def test_every_part_has_as_much_of_each_stratum(takes: int) -> None:
    words = [
        Utterance(Path(f"/{word}/{k}.wav"), 0.0, 1.0 + k / 100, label=word) for word in "abc" for k in range(takes)
    ]
    given = Manifest(tuple(words))
    for fold in range(5):
        cut = cross_validation(given, 5, fold, 0, seconds, lambda row: row.id, False, lambda row: row.label or "")
        assert all({row.label for row in cut.split(name)} == set("abc") for name in ("train", "dev", "test"))
    parts = folds(given, 5, 0, seconds, lambda row: row.id, False, lambda row: row.label or "")
    for word in "abc":
        counts = [sum(given[index].label == word for index in part) for part in parts]
        assert max(counts) - min(counts) <= 1


def test_so_many_of_each_are_nested_and_in_the_original_order() -> None:
    given = Manifest(tuple(Utterance(Path(f"/{k}.wav"), label="ab"[k % 3 == 0]) for k in range(30)))
    few, more, all_there = (take_each(given, count, 3, lambda row: row.label or "") for count in (2, 7, 99))
    assert Counter(row.label for row in few) == {"a": 2, "b": 2}
    assert Counter(row.label for row in more) == {"a": 7, "b": 7}
    assert set(few) < set(more)
    assert [row.id for row in more] == [row.id for row in given if row in set(more)]
    assert all_there.rows == given.rows
    assert take_each(given, 2, 4, lambda row: row.label or "").rows != few.rows


def test_so_many_speakers_are_nested_and_each_said_every_word() -> None:
    rows = [(speaker, word) for speaker in "uvwxyz" for word in "abc" if (speaker, word) != ("x", "b")]
    named = [Utterance(Path(f"/{speaker}{word}.wav"), label=word, speaker=speaker) for speaker, word in rows]
    given = Manifest((*named, Utterance(Path("/who.wav"), label="a")))

    def taken(count: int, seed: int = 3) -> Manifest:
        return take_speakers(given, count, seed, lambda row: row.label or "")

    assert [len(taken(count).speakers) for count in (1, 3, 5)] == [1, 3, 5]
    assert "x" not in taken(5).speakers and len(taken(5)) == 15
    assert set(taken(1)) < set(taken(3)) < set(taken(5))
    assert [row.id for row in taken(3)] == [row.id for row in given if row in set(taken(3))]
    assert len({frozenset(taken(2, seed).speakers) for seed in range(9)}) > 1
    with pytest.raises(DataError, match="6 speakers are wanted who said all of 3 words, and 5 did"):
        taken(6)
    # What is no word is asked of nobody, and kept where nobody in particular made it.
    noise = Manifest((*given, Utterance(Path("/n.wav"), label="-"), Utterance(Path("/m.wav"), label="-", speaker="x")))
    some = take_speakers(noise, 5, 3, lambda row: (row.label or "").strip("-"))
    assert [row.audio.stem for row in some if row.label == "-"] == ["n"]


def test_unknown_speakers_are_no_speaker() -> None:
    given = Manifest(tuple(Utterance(Path(f"/{i}.wav"), 0.0, 1.0, str(i)) for i in range(10)))
    assert [len(part) for part in folds(given, 5, 0, seconds, by_speaker=True)] == [2] * 5


def test_too_few_groups_for_the_folds() -> None:
    with pytest.raises(DataError, match="only 3 groups that share no prompt; 5 parts"):
        folds(rows(60, 3), 5, 0, seconds)
    with pytest.raises(DataError, match="only 1 groups that share no prompt or speaker"):
        folds(rows(60, 60), 5, 0, seconds, by_speaker=True)


def test_assigned_names_are_those_asked_for() -> None:
    given = Manifest(rows(6, 6).rows, (LedgerRow("x", "y"),))
    named = assign(given, [(0, 3), (1,), (2, 5), (4,)], test={1, 2}, dev={3})
    assert [row.split for row in named] == ["train", "test", "test", "train", "dev", "test"]
    assert named.ledger == given.ledger
    assert [row.id for row in named] == [row.id for row in given]


def check_cross_validation(given: Manifest, count: int, by_speaker: bool) -> list[Manifest]:
    """Every row is tested once; in each fold nothing crosses; the same on every call."""
    prompt = (lambda row: row.id) if by_speaker else (lambda row: row.text)
    tested: list[str] = []
    named = []
    for fold in range(count):
        one = cross_validation(given, count, fold, 7, seconds, prompt, by_speaker)
        assert one == cross_validation(given, count, fold, 7, seconds, prompt, by_speaker)
        assert one.splits == ("train", "dev", "test")
        assert [row.id for row in one] == [row.id for row in given]
        assert leaks(one, prompt) == {}
        assert not by_speaker or leaks(one, lambda row: row.speaker) == {}
        tested += [row.id for row in one.split("test")]
        named.append(one)
    assert sorted(tested) == sorted(row.id for row in given)
    return named


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_cross_validation_tests_every_row_once_and_leaks_nothing(count: int) -> None:
    given = rows(300, 150)
    for named in check_cross_validation(given, count, by_speaker=False):
        shares = {name: sum(map(seconds, named.split(name))) / sum(map(seconds, given)) for name in named.splits}
        assert shares["test"] == pytest.approx(1 / count, rel=0.2)
        assert shares["dev"] == pytest.approx(1 / count / 4, rel=0.5)


@pytest.mark.parametrize(("speakers", "count"), [(4, 2), (3, 3), (5, 3), (5, 5), (13, 5), (24, 5)])
def test_a_handful_of_speakers_is_enough(speakers: int, count: int) -> None:
    given = rows(200, 200, speakers)
    assert len(given.speakers) == speakers
    for named in check_cross_validation(given, count, by_speaker=True):
        assert named.split("train").speakers
        assert named.split("dev").speakers
        assert named.split("test").speakers


@pytest.mark.parametrize(("groups", "count"), [(1, 2), (3, 2), (4, 5), (0, 2)])
def test_too_few_groups_to_cross_validate(groups: int, count: int) -> None:
    given = rows(100, groups) if groups else Manifest(())
    with pytest.raises(DataError, match="cannot be cut"):
        cross_validation(given, count, 0, 0, seconds)


@pytest.mark.parametrize(("count", "fold"), [(5, 5), (5, -1), (1, 0), (0, 0)])
def test_there_is_no_such_fold(count: int, fold: int) -> None:
    with pytest.raises(DataError, match="no fold"):
        cross_validation(rows(100, 100), count, fold, 0, seconds)


def test_leaks_are_found() -> None:
    names = ("train", "test", "train", None)
    given = Manifest(
        tuple(
            Utterance(Path(f"/{index}.wav"), text="same", speaker=str(index), split=name)
            for index, name in enumerate(names)
        )
    )
    assert leaks(given, lambda row: row.text) == {"same": ("test", "train")}
    assert leaks(given, lambda row: row.speaker) == {}
    assert leaks(given, lambda row: None) == {}


def test_smaller_amounts_are_subsets_in_the_original_order() -> None:
    given = Manifest(rows(200, 50).rows, (LedgerRow("x", "y"),))
    parts = [take_seconds(given, amount, 0, seconds) for amount in (0, 30, 90, 1e9)]
    for small, large in pairwise(parts):
        assert set(small) < set(large) <= set(given)
        order = [given.rows.index(row) for row in large]
        assert order == sorted(order)
        assert large.ledger == given.ledger
    assert not len(parts[0])
    assert parts[3] == given
    for amount, part in zip((30, 90), parts[1:3], strict=True):
        assert amount <= sum(map(seconds, part)) < amount + 3
    assert take_seconds(given, 30, 0, seconds) == parts[1] != take_seconds(given, 30, 1, seconds)


@pytest.mark.parametrize("seed", range(10))
def test_spans_of_one_recording_may_be_parted_where_they_do_not_overlap(seed: int) -> None:
    draw = random.Random(seed)
    rows = []
    for place in range(30):
        start = round(draw.uniform(0, 60), 2)
        rows.append(Utterance(Path(f"/{draw.choice('ab')}.wav"), start, start + draw.uniform(0.1, 3), text=f"t{place}"))
    rows.append(Utterance(Path("/c.wav"), text="whole"))
    manifest = Manifest(tuple(rows))
    together = kept_together(manifest, lambda row: str(row.text), False, by_file=False)

    def overlap(one: Utterance, two: Utterance) -> bool:
        starts, ends = (one.start or 0, two.start or 0), (one.end or math.inf, two.end or math.inf)
        return one.audio == two.audio and max(starts) < min(ends)

    part = {index: number for number, group in enumerate(together) for index in group}
    linked = {index: {index} for index in range(len(rows))}
    for one, two in combinations(range(len(rows)), 2):
        if overlap(rows[one], rows[two]):
            merged = linked[one] | linked[two]
            for index in merged:
                linked[index] = merged
    for one, two in combinations(range(len(rows)), 2):
        assert (part[one] == part[two]) == (two in linked[one])
    assert len(kept_together(manifest, lambda row: str(row.text), False)) == 3  # a file each
