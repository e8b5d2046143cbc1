"""Finished runs against others on the same tests: which are better, as far as a paired interval can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechtransfer.errors import DataError, SourceError
from speechtransfer.pooling import of_parts
from speechtransfer.score import Scores
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
        left_out: why a further test set is not compared, by its name.
    """

    verdicts: Mapping[str, Verdict]
    folds: int
    all_folds: int
    left_out: Mapping[str, str]


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
    read = {folder: _folds(folder) for folder in dict.fromkeys([*runs, *others])}
    tested = [set(folds) for folds in read.values()]
    if not set.intersection(*tested):
        raise DataError(
            f"{_named(runs)} and {_named(others)} were tested on other utterances. Compare runs of the same data, "
            "split alike: the same recipe, or the same manifest, folds and split seed."
        )
    common = [fold for fold in next(iter(read.values())) if all(fold in each for each in tested)]
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
    return Comparison(verdicts, len(common), len(set.union(*tested)), left_out)


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


def _draws(folds: Mapping[_Tested, list[Outcome]], common: Sequence[_Tested]) -> list[list[Outcome]]:
    """The folds of each draw; of an unfinished run, as many draws as all folds have."""
    return [list(draw) for draw in zip(*(folds[fold] for fold in common), strict=False)]


def _runs(draws: Sequence[Sequence[Outcome]], name: str) -> list[Scores]:
    """Scores on a test set: one a draw where each fold tested its own part, one a model where all heard all of it."""
    return [scores for folds in draws for scores in of_parts([one.scores[name] for one in folds])]


def _named(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))
