"""A picture of what a recipe reached over how much it learnt from: recordings of each word, or minutes of speech."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from speechtransfer.pictures import LINES, written
from speechtransfer.record import Result, tests_of
from speechtransfer.score import GRADED, Estimate, called

#: What of a variant's name says the amount: ``many-5clips``, ``4min``, ``open1clip``, ``all``. Of ``2speakers`` the
#: word stays: so many recordings by the same people are another line.
_AMOUNT = re.compile(r"-?\d+(clips?|min)$|\d+(?=speakers?$)|(^|-)(all|default)$")
#: What of a configuration may differ along a line: the amount, and what is set by it.
_AMOUNTS = ("train_clips", "train_speakers", "train_minutes")
_BESIDE = (*_AMOUNTS, "draws", "scratch")
_STEPS = ("steps", "epochs", "minutes", "evaluations")
#: What of an open set is drawn in the place of the metric that a model is chosen by.
_OPEN = ("detected_at_5", "detected_at_1")
#: A figure at each amount, in units of the axis; None of an amount is all there is.
Points = dict[float | None, Estimate]


def lines(results: Iterable[Result]) -> dict[tuple[str, str], dict[str, Points]]:
    """Of each test set and metric each line's points, for what has been measured at two amounts or more.

    Variants that differ in the amount alone, and in the length of the training, are a line, named by what their names
    share, and so are their baselines, with how many of the folds these were trained on.
    """
    alike: dict[str, dict[float | None, Result]] = {}
    for result in (one for one in results if one.fold == "pooled"):
        amount = next((given for name in _AMOUNTS if (given := result.config.get(name))), None)
        alike.setdefault(_method(result), {})[amount] = result
    systems: dict[str, dict[float | None, Mapping[str, Any]]] = {}
    for members in (one for one in alike.values() if len(one) > 1):
        first = next(iter(members.values())).variant
        name = _AMOUNT.sub("", first) or "transfer"
        name = first if name in systems else name
        systems[name] = {amount: result.metrics for amount, result in members.items()}
        folds = _folds(members.values())
        for amount, result in members.items():
            for kind, figures in _baselines(result):
                systems.setdefault(f"{name} {kind} ({folds[kind]})".removeprefix("transfer "), {})[amount] = figures
    found: dict[tuple[str, str], dict[str, Points]] = {}
    for system, members_of in systems.items():
        for amount, figures in members_of.items():
            for test, scores in tests_of(figures).items():
                for metric in [one for one in _OPEN if one in scores] or list(scores)[:1]:
                    points = found.setdefault((test, metric), {}).setdefault(system, {})
                    points[amount] = Estimate.read(metric, scores[metric])
    return found


def _method(result: Result) -> str:
    """A configuration without what may differ along a line, as text."""
    kept = {name: value for name, value in result.config.items() if name not in _BESIDE}
    settings = {name: value for name, value in kept.get("settings", {}).items() if name not in _STEPS}
    same_people = bool(result.config.get("train_speakers"))
    return json.dumps({**kept, "settings": settings, "same people": same_people}, sort_keys=True)


def _folds(members: Iterable[Result]) -> dict[str, str]:
    """On how many of the transfer's folds each baseline was trained, over the amounts."""
    found: dict[str, list[tuple[int, int]]] = {}
    for result in members:
        for kind, one in _baselines(result):
            found.setdefault(kind, []).append((one.get("folds", 1), result.metrics.get("folds", 1)))
    return {
        kind: f"{' or '.join(map(str, sorted({mine for mine, _ in pairs})))} of {max(of for _, of in pairs)} folds"
        for kind, pairs in found.items()
    }


def _baselines(result: Result) -> Iterable[tuple[str, Mapping[str, Any]]]:
    known: Mapping[str, Mapping[str, Any]] = result.metrics.get("baselines", {})
    return known.items()


def picture(results: Sequence[Result]) -> bytes | None:
    """An SVG file of the lines with their 95% intervals, each test set and metric apart; None where there are none."""
    panels = lines(results)
    if not panels:
        return None
    amounts = {amount for drawn in panels.values() for points in drawn.values() for amount in points}
    given = sorted(amount for amount in amounts if amount is not None)
    places = {amount: place for place, amount in enumerate([*given, *([None] if None in amounts else [])])}
    given_as = [name for name in ("train_clips", "train_speakers") if any(one.config.get(name) for one in results)]
    what = " or ".join({"train_clips": "recordings", "train_speakers": "speakers"}[name] for name in given_as)
    names = list(dict.fromkeys(name for drawn in panels.values() for name in drawn))
    figure = Figure(figsize=(0.6 + 3.9 * len(panels), 3.4), layout="constrained", facecolor="white")
    columns = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, ((test, metric), drawn) in zip(columns, panels.items(), strict=True):
        for name, points in drawn.items():
            colour, dash, marker = LINES[names.index(name) % len(LINES)]
            ordered = sorted(points.items(), key=lambda point: places[point[0]])
            values = [one.value for _, one in ordered]
            reach = [one.value - one.low for _, one in ordered], [one.high - one.value for _, one in ordered]
            at = [places[amount] for amount, _ in ordered]
            axes.errorbar(at, values, reach, fmt=dash + marker, color=colour, ms=4, capsize=2, label=name)
        axes.set_title(called(metric) if test == "test" else f"{called(metric)}, {test}", fontsize=10)
        axes.set_xticks(list(places.values()), [_spelt(one) for one in places])
        axes.set_xlabel(f"{what} of each word" if what else "minutes of speech")
        axes.grid(alpha=0.15)
        if metric not in GRADED:
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8)
    return written(figure, "amounts", described(panels)).encode()


def _spelt(amount: float | None) -> str:
    return "all" if amount is None else f"{amount:g}"


def described(panels: Mapping[tuple[str, str], Mapping[str, Points]]) -> str:
    """What is drawn, in words: a sentence for each line, which the file holds too."""
    sentences = []
    for (test, metric), drawn in panels.items():
        for name, points in drawn.items():
            figures = "; ".join(f"{_spelt(amount)}: {one}" for amount, one in points.items())
            sentences.append(f"{called(metric)} ({test}), {name}: {figures}.")
    return " ".join(sentences)
