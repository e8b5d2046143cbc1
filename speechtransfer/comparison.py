"""Finished runs against others on the same tests: which are better, as far as a paired interval can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechtransfer.errors import DataError, SourceError
from speechtransfer.pooling import pooled
from speechtransfer.trial import Outcome, read_outcome
from speechtransfer.verdict import Verdict, judge

#: The utterances of a fold's own test: what tells it from the other folds, whatever its number.
_Tested = frozenset[str]


@dataclass(frozen=True)
class Comparison:
    """What can be claimed.

    Attributes:
        verdicts: by test set; each difference is the runs' minus the others'.
        folds: how many folds all of them were tested on; only those are compared.
        all_folds: how many there are in any of them.
    """

    verdicts: Mapping[str, Verdict]
    folds: int
    all_folds: int


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
    read = {folder: _folds(folder) for folder in dict.fromkeys([*runs, *others])}
    tested = [set(folds) for folds in read.values()]
    if not set.intersection(*tested):
        raise DataError(
            f"{_named(runs)} and {_named(others)} were tested on other utterances. Compare runs of the same data, "
            "split alike: the same recipe, or the same manifest, folds and split seed."
        )
    common = [fold for fold in next(iter(read.values())) if all(fold in each for each in tested)]
    ours, theirs = ([draw for folder in side for draw in _draws(read[folder], common)] for side in (runs, others))
    names = [name for name in ours[0].scores if all(name in one.scores for one in (*ours, *theirs))]
    verdicts = {}
    for name in names:
        figure = metric or next(iter(ours[0].scores[name].metrics))
        if not all(figure in one.scores[name].metrics for one in (*ours, *theirs)):
            raise DataError(f"{name}: not all of {_named([*runs, *others])} have {figure!r}. Compare runs of one task.")
        a, b = ([one.scores[name] for one in side] for side in (ours, theirs))
        verdicts[name] = judge(a, b, figure, f"of {_named(others)}", claims=("Better", "Worse"))
    return Comparison(verdicts, len(common), len(set.union(*tested)))


def _folds(folder: Path) -> dict[_Tested, list[Outcome]]:
    """The finished draws of each fold; a plain run is one of one."""
    numbered = [path.parent for path in (folder / "folds").glob("*/metrics.json") if path.parent.name.isdecimal()]
    places = sorted(numbered, key=lambda path: int(path.name)) or [folder]
    if not (places[0] / "metrics.json").is_file():
        raise SourceError(f"{folder}: holds no finished run. Name a run folder, or go on with it by --resume.")
    found: dict[_Tested, list[Outcome]] = {}
    for place in places:
        outcome = read_outcome(place)
        if "test" not in outcome.scores:
            raise SourceError(f"{place}: has no predictions/test.jsonl. Test the run again.")
        found.setdefault(frozenset(row.id for row in outcome.scores["test"].rows), []).append(outcome)
    return found


def _draws(folds: Mapping[_Tested, list[Outcome]], common: Sequence[_Tested]) -> list[Outcome]:
    """Each draw pooled over the folds; of an unfinished run, as many as all of them have."""
    return [pooled(list(draw)) for draw in zip(*(folds[fold] for fold in common), strict=False)]


def _named(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))
