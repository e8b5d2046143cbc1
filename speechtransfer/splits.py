"""Splits and folds that share no prompt and no speaker, leaks between them, and parts of a split."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from speechtransfer.errors import DataError
from speechtransfer.manifest import SPLITS, Manifest, Utterance


def _components(rows: Sequence[Utterance], keys: Sequence[Callable[[Utterance], str | None]]) -> list[list[int]]:
    """Connected components under "shares any key" (union-find, smallest index as the root)."""
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for key in keys:
        first: dict[str, int] = {}
        for index, row in enumerate(rows):
            value = key(row)
            if value is None:
                continue
            one, two = root(first.setdefault(value, index)), root(index)
            parent[max(one, two)] = min(one, two)
    groups = defaultdict(list)
    for index in range(len(rows)):
        groups[root(index)].append(index)
    return list(groups.values())


def folds(
    manifest: Manifest,
    count: int,
    seed: int,
    weight: Callable[[Utterance], float],
    prompt: Callable[[Utterance], str] = lambda row: row.text or row.id,
    by_speaker: bool = False,
    stratum: Callable[[Utterance], str] = lambda row: "",
    by_file: bool = True,
) -> tuple[tuple[int, ...], ...]:
    """Cut a manifest into ``count`` parts of about equal weight that share no prompt or speaker.

    Args:
        manifest: the rows to cut; their ``split`` is ignored.
        count: how many parts.
        seed: the split's own seed, apart from every training seed.
        weight: seconds of an utterance.
        prompt: what must not cross parts; rows with the same value stay together.
        by_speaker: keep each known speaker in one part as well.
        stratum: what every part should have as much of, such as a label.
        by_file: keep all spans of a recording in one part, and not only those that overlap.

    Returns:
        The row indices of each part; together every row exactly once.

    Raises:
        DataError: fewer groups than parts.
    """
    groups = kept_together(manifest, prompt, by_speaker, by_file)
    if len(groups) < count:
        raise DataError(
            f"{len(manifest)} utterances form only {len(groups)} groups that share no prompt"
            f"{' or speaker' if by_speaker else ''}; {count} parts cannot be cut from them. "
            "Add recordings, or give every row a 'split'."
        )
    heaviest_first = sorted(groups, key=lambda group: -_weigh(manifest, group, weight))
    generator = random.Random(seed)
    loads = [0.0] * count
    parts: list[list[int]] = [[] for _ in range(count)]
    for alike in _by_stratum(manifest, heaviest_first, stratum).values():
        # Of each ``count`` groups of like weight every part gets one: parts alike in length of utterance.
        for first in range(0, len(alike), count):
            dealt = alike[first : first + count]
            generator.shuffle(dealt)
            dealt.sort(key=lambda group: -_rounded(_weigh(manifest, group, weight)))
            for part, group in zip(sorted(range(count), key=lambda part: loads[part]), dealt, strict=False):
                parts[part].extend(group)
                loads[part] += _weigh(manifest, group, weight)
    return tuple(tuple(sorted(part)) for part in parts)


def _weigh(manifest: Manifest, group: Sequence[int], weight: Callable[[Utterance], float]) -> float:
    return sum(weight(manifest[index]) for index in group)


def _by_stratum(
    manifest: Manifest, groups: Sequence[list[int]], stratum: Callable[[Utterance], str]
) -> dict[str, list[list[int]]]:
    """Groups by the stratum that all their rows are of; a speaker's words are of many, so of none."""
    found = defaultdict(list)
    for group in groups:
        names = {stratum(manifest[index]) for index in group}
        found[names.pop() if len(names) == 1 else ""].append(group)
    return found


def _overlapping(manifest: Manifest) -> dict[str, str]:
    """By row, the first of those spans of its recording that it overlaps with, directly or through others."""
    ordered = sorted(manifest, key=lambda row: (str(row.audio), row.start or 0.0))
    found: dict[str, str] = {}
    last, end = "", 0.0
    for before, row in zip([None, *ordered], ordered, strict=False):
        if before is None or before.audio != row.audio or (row.start or 0.0) >= end:
            last, end = row.id, 0.0
        found[row.id] = last
        end = max(end, math.inf if row.end is None else row.end)
    return found


def group_count(manifest: Manifest, prompt: Callable[[Utterance], str], by_speaker: bool, by_file: bool = True) -> int:
    """How many sets of rows share no prompt, no group and, where asked, no file and no speaker."""
    return len(kept_together(manifest, prompt, by_speaker, by_file))


def kept_together(
    manifest: Manifest, prompt: Callable[[Utterance], str], by_speaker: bool, by_file: bool = True
) -> list[list[int]]:
    """Row indices that must stay together: of one prompt or group and, where asked, one file or one speaker.

    Spans that overlap are of one sound, whatever is asked. A row of a group follows its group alone: who speaks in one
    scene speaks in others.
    """
    keys = _keys(manifest, prompt, by_speaker, by_file)
    if by_speaker:
        keys["speaker"] = lambda row: None if row.group else row.speaker
    return _components(manifest.rows, list(keys.values()))


def _keys(
    manifest: Manifest, prompt: Callable[[Utterance], str], by_speaker: bool, by_file: bool
) -> dict[str, Callable[[Utterance], str | None]]:
    """What no two splits may share, by what it is called."""
    sounds = {} if by_file else _overlapping(manifest)
    keys: dict[str, Callable[[Utterance], str | None]] = {
        "prompt": prompt,
        "recording": lambda row: sounds.get(row.id, str(row.audio)),
        "group": lambda row: row.group,
    }
    return {**keys, "speaker": lambda row: row.speaker} if by_speaker else keys


def grown(
    manifest: Manifest,
    kept: Mapping[str, str],
    prompt: Callable[[Utterance], str],
    by_speaker: bool = False,
    by_file: bool = True,
) -> Manifest:
    """Splits of a corpus that has grown: the test is as it was, dev as far as it shares nothing with the test.

    All else is train, but for rows that share a prompt, a recording, a group or (where asked) a speaker with a
    row of dev or test: these are dropped, since either they would leak or the test would change.

    Args:
        manifest: the rows, old and new.
        kept: the split that a row was in, by its id.
        prompt: what must not cross splits; the rest as for ``folds``.
        by_speaker: nor may a speaker.
        by_file: nor may a recording, as a whole.
    """
    keys = _keys(manifest, prompt, by_speaker, by_file)
    held: dict[tuple[str, str], str] = {}
    names: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for split in reversed(SPLITS):  # the test first: it gives way to nothing
        own = [row for row in manifest if kept.get(row.id, "train") == split]
        marks = {row.id: [(name, value) for name, key in keys.items() if (value := key(row))] for row in own}
        for identity, found in marks.items():
            shared = next((mark for mark in found if mark in held), None)
            if shared is None:
                names[identity] = split
            else:
                reasons[identity] = f"its {shared[0]} is in {held[shared]}, which is kept as it was"
        held |= {mark: split for identity, found in marks.items() if identity in names for mark in found}
    left = manifest.keep(lambda row: reasons.get(row.id))
    return Manifest(tuple(replace(row, split=names[row.id]) for row in left), left.ledger)


def joined(
    manifest: Manifest,
    prompt: Callable[[Utterance], str],
    by_speaker: bool = False,
    by_file: bool = True,
) -> Manifest:
    """Rows that name no split beside rows that do: they are for training.

    Those that share a prompt, a recording, a group or (where asked) a speaker with a row of dev or a test are dropped.
    What names its split stays as it is.

    Args:
        manifest: the rows.
        prompt: what must not cross splits; the rest as for ``folds``.
        by_speaker: nor may a speaker, but for those of whom the named splits have crossed already.
        by_file: nor may a recording, as a whole.
    """
    keys = _keys(manifest, prompt, by_speaker, by_file)
    crossed = leaks(manifest, lambda row: row.speaker) if by_speaker else {}
    if by_speaker:
        keys["speaker"] = lambda row: None if row.speaker in crossed else row.speaker
    held: dict[tuple[str, str], str] = {}
    for row in manifest:
        if row.split not in (None, "train"):
            held |= {(name, value): str(row.split) for name, key in keys.items() if (value := key(row))}

    def shared(row: Utterance) -> str | None:
        for name, key in keys.items():
            if row.split is None and (value := key(row)) and (name, value) in held:
                return f"its {name} is in {held[name, value]}, which stays as it is"
        return None

    left = manifest.keep(shared)
    return Manifest(tuple(replace(row, split=row.split or "train") for row in left), left.ledger)


def _rounded(seconds: float) -> float:
    """To two significant digits: groups of about one weight are as good for any part, and the seed decides."""
    return float(f"{seconds:.1e}")


def assign(manifest: Manifest, parts: Sequence[Sequence[int]], test: set[int], dev: set[int]) -> Manifest:
    """Name every row's split: the parts numbered in ``test`` and ``dev``, and train for the rest."""
    names = {}
    for number, part in enumerate(parts):
        name = "test" if number in test else "dev" if number in dev else "train"
        names.update(dict.fromkeys(part, name))
    rows = tuple(replace(row, split=names[index]) for index, row in enumerate(manifest))
    return Manifest(rows, manifest.ledger)


#: Parts that ``cross_validation`` cuts for one fold where there are groups enough: of five folds, four
#: parts are a fifth, one is a twentieth.
PARTS_A_FOLD = 4


def cross_validation(
    manifest: Manifest,
    count: int,
    fold: int,
    seed: int,
    weight: Callable[[Utterance], float],
    prompt: Callable[[Utterance], str] = lambda row: row.text or row.id,
    by_speaker: bool = False,
    stratum: Callable[[Utterance], str] = lambda row: "",
    by_file: bool = True,
) -> Manifest:
    """Fold number ``fold`` of ``count``: a ``count``-th is test, a quarter as much dev, the rest train.

    Over all folds every row is tested once. Where there are few groups (a handful of speakers, of
    recordings of a word), dev is a larger share, up to as much as test. The arguments are those of ``folds``.

    Raises:
        DataError: too few groups, fewer than two folds, or no such fold.
    """
    if count < 2 or not 0 <= fold < count:
        raise DataError(f"there is no fold {fold} of {count}: take two folds or more, numbered from 0.")
    # Two folds need four parts, or nothing is left to train on.
    fewest = 2 if count == 2 else 1
    strata = _by_stratum(manifest, kept_together(manifest, prompt, by_speaker, by_file), stratum)
    a_fold = max(fewest, min([PARTS_A_FOLD, *(len(groups) // count for groups in strata.values())]))
    parts = folds(manifest, a_fold * count, seed, weight, prompt, by_speaker, stratum, by_file)
    first = a_fold * fold
    return assign(manifest, parts, set(range(first, first + a_fold)), {(first + a_fold) % len(parts)})


def require_all(manifest: Manifest, rows: str) -> None:
    """Refuse rows (so called in the message) of which some name a split and others none, or none is in one of three.

    Raises:
        DataError: train, dev or test is missing, or the split of a row.
    """
    missing = set(SPLITS) - set(manifest.splits)
    if missing or any(row.split is None for row in manifest):
        raise DataError(
            f"{rows} name the splits {', '.join(manifest.splits)}, but "
            f"{', '.join(sorted(missing)) or 'that of some rows'} is missing. "
            "Name train, dev and test on every row, or on none."
        )


def take_each(manifest: Manifest, count: int, seed: int, stratum: Callable[[Utterance], str]) -> Manifest:
    """At most ``count`` random rows of each stratum, in the original order.

    Smaller counts with one seed are subsets of larger ones, as in ``take_seconds``.
    """
    order = list(range(len(manifest)))
    random.Random(seed).shuffle(order)
    taken: dict[str, list[int]] = defaultdict(list)
    for index in order:
        taken[stratum(manifest[index])].append(index)
    chosen = {index for indices in taken.values() for index in indices[:count]}
    return Manifest(tuple(row for index, row in enumerate(manifest) if index in chosen), manifest.ledger)


def take_speakers(manifest: Manifest, count: int, seed: int, stratum: Callable[[Utterance], str]) -> Manifest:
    """The rows of ``count`` random speakers, of those who have one in every stratum, in the original order.

    Rows without a stratum are asked of nobody; those by nobody in particular are kept. Smaller counts with one seed
    are subsets of larger ones, as in ``take_seconds``.

    Raises:
        DataError: fewer speakers have.
    """
    said: dict[str, set[str]] = defaultdict(set)
    for row in manifest:
        if row.speaker is not None and stratum(row):
            said[row.speaker].add(stratum(row))
    everything = set(filter(None, map(stratum, manifest)))
    able = sorted(speaker for speaker, strata in said.items() if strata == everything)
    if count > len(able):
        raise DataError(
            f"{count} speakers are wanted who said all of {len(everything)} words, and {len(able)} did. Ask for fewer, "
            "or name the speakers (--speaker-pattern) if they are not known."
        )
    random.Random(seed).shuffle(able)
    chosen = set(able[:count])
    kept = (row for row in manifest if row.speaker in chosen or not (row.speaker or stratum(row)))
    return Manifest(tuple(kept), manifest.ledger)


def leaks(manifest: Manifest, key: Callable[[Utterance], str | None]) -> dict[str, tuple[str, ...]]:
    """Values of ``key`` (a prompt, a speaker, a content hash) that stand in more than one split."""
    where: dict[str, set[str]] = defaultdict(set)
    for row in manifest:
        value = key(row)
        if value is not None and row.split is not None:
            where[value].add(row.split)
    return {value: tuple(sorted(names)) for value, names in where.items() if len(names) > 1}


def take_seconds(manifest: Manifest, seconds: float, seed: int, weight: Callable[[Utterance], float]) -> Manifest:
    """A random part of a manifest of about ``seconds``, in the original order.

    Smaller amounts with one seed are subsets of larger ones. What is left out is not a fault of
    the data, so it does not enter the ledger.
    """
    order = list(range(len(manifest)))
    random.Random(seed).shuffle(order)
    chosen, total = set(), 0.0
    for index in order:
        if total >= seconds:
            break
        chosen.add(index)
        total += weight(manifest[index])
    return Manifest(tuple(row for index, row in enumerate(manifest) if index in chosen), manifest.ledger)
