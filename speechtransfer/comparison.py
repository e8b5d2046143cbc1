"""Finished runs against others on the same tests: which are better, as far as a paired interval can say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechtransfer.checkpoint import blaming, read_json
from speechtransfer.errors import DataError, SourceError
from speechtransfer.files import read_lines
from speechtransfer.keeping import Place
from speechtransfer.pooling import of_parts
from speechtransfer.score import Scores
from speechtransfer.trial import Outcome, read_outcome
from speechtransfer.verdict import Verdict, judge

#: What seeds of one system may differ in: the data may lie elsewhere, and a budget in minutes gives what steps it can.
_OF_A_SEED = {"settings.seed", "settings.steps", "commit", "data", "name"}
#: The utterances of a fold's own test: what tells it from the other folds, whatever its number.
_Tested = frozenset[str]


@dataclass(frozen=True)
class Comparison:
    """What can be claimed.

    Attributes:
        verdicts: by test set; each difference is the runs' minus the others'.
        folds: how many folds all of them were tested on; only those are compared.
        all_folds: how many there are in any of them.
        left_out: why a further test set is not compared, by its name.
        unlike: of each side what its runs differ in beside the seed, by the fields of a recipe: no seeds of one system.
    """

    verdicts: Mapping[str, Verdict]
    folds: int
    all_folds: int
    left_out: Mapping[str, str]
    unlike: tuple[tuple[str, ...], tuple[str, ...]]


def compare(runs: Sequence[Path], others: Sequence[Path], metric: str | None = None) -> Comparison:
    """Compare finished runs, each a training seed of one system, with those of another system.

    Folds are matched by the utterances that they test, so a run of one fold can be held against one of five. The
    draws of a run count as seeds.

    Args:
        runs: run folders, or the folders of baselines in them.
        others: the same of the other system.
        metric: as ``judge`` takes it; None is the first that the runs have, which models are chosen by.

    Raises:
        SourceError: a folder holds no finished run.
        DataError: no run of a system, no fold that is common to all, or tests that differ (other references, another
            kind of task).
    """
    if not runs or not others:
        raise DataError("a comparison is of two systems. Name a run folder of each.")
    places = [folder.resolve() for folder in (*runs, *others)]
    if len(set(places)) < len(places):
        raise DataError(f"a run is named twice among {_named([*runs, *others])}. Name each once.")
    names = _Names()
    read = {folder: _folds(folder, names) for folder in (*runs, *others)}
    tested = {folder: set(folds) for folder, folds in read.items()}
    shared_folds = tested[runs[0]]
    for folder, folds in tested.items():
        shared_folds = shared_folds & folds
        if not shared_folds:
            raise DataError(_no_common_fold(runs[0], folder, tested))
    common = [fold for fold in next(iter(read.values())) if fold in shared_folds]
    draws = {folder: _draws(folds, common) for folder, folds in read.items()}
    heard = [set(one.scores) for each in draws.values() for folds in each for one in folds]
    verdicts: dict[str, Verdict] = {}
    shared = heard[0].intersection(*heard)
    left_out = dict.fromkeys(sorted(shared.union(*heard) - shared), "not all of the runs have it")
    for name in sorted(shared, key=lambda name: (name != "test", name)):
        ours, theirs = ([one for folder in side for one in _runs(draws[folder], name)] for side in (runs, others))
        figure = metric or next(iter(ours[0].metrics))
        try:
            if not all(figure in one.metrics for one in (*ours, *theirs)):
                raise DataError(f"not all of {_named([*runs, *others])} have {figure!r}. Compare runs of one task.")
            verdicts[name] = judge(ours, theirs, figure, f"of {_named(others)}", claims=("Better", "Worse"))
        except DataError as error:
            if name == "test":
                raise DataError(f"{name}: {error}") from error
            left_out[name] = str(error)
    unlike = _unlike(runs), _unlike(others)
    return Comparison(verdicts, len(common), len(set.union(*tested.values())), left_out, unlike)


def _unlike(runs: Sequence[Path]) -> tuple[str, ...]:
    """The fields of their recipes in which runs differ; a baseline's folder has no recipe of its own."""
    recipes = [dict(_fields(read_json(path))) for run in runs if (path := run / "recipe.json").is_file()]
    names = dict.fromkeys(name for recipe in recipes for name in recipe if name not in _OF_A_SEED)
    return tuple(name for name in names if len({json.dumps(recipe.get(name)) for recipe in recipes}) > 1)


def _fields(values: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names of a recipe's fields, as ``--set`` takes them, with their values."""
    for name, value in values.items() if isinstance(values, dict) else ():
        if isinstance(value, dict):
            yield from _fields(value, f"{before}{name}.")
        else:
            yield before + name, value


def _no_common_fold(first: Path, other: Path, tested: Mapping[Path, set[_Tested]]) -> str:
    """Why two runs share no test, with an utterance that shows it."""
    ours, theirs = (frozenset[str]().union(*tested[folder]) for folder in (first, other))
    whose, stray = (first, ours - theirs) if ours - theirs else (other, theirs - ours)
    shown = f": {min(stray)} is of {whose} alone" if stray else ", as they dealt the same ones into folds otherwise"
    return (
        f"{first} and {other} were tested on other utterances{shown}. Compare runs of the same data, split alike: the "
        "same recipe, or the same manifest, folds and split seed."
    )


class _Names:
    """One name for each sound, that of the first run which heard it: data may move, and caches differ.

    Of runs that do not say what their sounds held, their own names are all there is.
    """

    def __init__(self) -> None:
        self._named: dict[tuple[Place, int], str] = {}
        self._places: dict[str, tuple[Place, int] | None] = {}

    def of(self, path: Path) -> dict[str, str]:
        """By the id of each utterance in a predictions file, what it is called here."""
        given: Counter[Place] = Counter()
        found = {}
        with blaming(path):
            for line in read_lines(path):
                name, place = str(line["id"]), None
                if "content" in line:
                    sound = line["content"], line["start"], line["end"]
                    given[sound] += 1  # one recording may be there twice
                    place = sound, given[sound]
                found[name] = self._name(name, place)
        return found

    def _name(self, name: str, place: tuple[Place, int] | None) -> str:
        if place is None:
            self._places.setdefault(name, None)
            return name
        if place not in self._named:
            taken = self._places.get(name) or place
            self._places[name] = taken
            # Another recording of that name is another utterance.
            self._named[place] = name if taken == place else f"{name} ({place[0][0]})"
        return self._named[place]


def _renamed(outcome: Outcome, folder: Path, names: _Names) -> Outcome:
    """The outcome with its utterances, and the groups that one utterance is, by their names among all runs."""
    scores = {}
    for test, found in outcome.scores.items():
        called = names.of(folder / "predictions" / f"{test}.jsonl")
        rows = (replace(row, id=called[row.id], group=called.get(row.group, row.group)) for row in found.rows)
        scores[test] = replace(found, rows=tuple(rows))
    return replace(outcome, scores=scores)


def _folds(folder: Path, names: _Names) -> dict[_Tested, list[Outcome]]:
    """The finished draws of each fold; a plain run is one of one."""
    numbered = [path.parent for path in (folder / "folds").glob("*/metrics.json") if path.parent.name.isdecimal()]
    places = sorted(numbered, key=lambda path: int(path.name)) or [folder]
    found: dict[_Tested, list[Outcome]] = {}
    for place in places:
        outcome = _renamed(read_outcome(place), place, names)
        if "test" not in outcome.scores:
            raise SourceError(f"{place}: has no predictions/test.jsonl. Test the run again.")
        found.setdefault(frozenset(row.id for row in outcome.scores["test"].rows), []).append(outcome)
    return found


def _draws(folds: Mapping[_Tested, list[Outcome]], common: Sequence[_Tested]) -> list[list[Outcome]]:
    """The folds of each draw; of an unfinished run, as many draws as all folds have."""
    return [list(draw) for draw in zip(*(folds[fold] for fold in common), strict=False)]


def _runs(draws: Sequence[Sequence[Outcome]], name: str) -> list[Scores]:
    """Scores on a test set: one a draw where each fold tested its own part, one a model where all heard all of it."""
    return [scores for folds in draws for scores in of_parts([one.scores[name] for one in folds])]


def _named(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))
