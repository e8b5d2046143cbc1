"""A picture of what a recipe reached over how much it learnt from: recordings of each word, or minutes of speech."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from speechtransfer.pictures import LINES
from speechtransfer.record import Result, tests_of
from speechtransfer.score import GRADED, Estimate, called

#: What of a variant's name says the amount: ``many-5clips``, ``4min``, ``open1clip``.
_AMOUNT = re.compile(r"-?(\d+(clips?|min)|all|default)$")
#: What of an open set is drawn in the place of the metric that a model is chosen by.
_OPEN = ("detected_at_5", "detected_at_1")
#: A figure at each amount, in units of the axis; None of an amount is all there is.
Points = dict[float | None, Estimate]


def lines(results: Iterable[Result]) -> dict[tuple[str, str], dict[str, Points]]:
    """Of each test set and metric each line's points, for what has been measured at two amounts or more.

    Variants that differ in the amount alone by their names are a line, and so are their baselines.
    """
    found: dict[tuple[str, str], dict[str, Points]] = {}
    for result in (one for one in results if one.fold == "pooled"):
        config = result.config
        amount = config.get("train_clips") or config.get("train_minutes")
        name = _AMOUNT.sub("", result.variant) or "transfer"
        systems: dict[str, Mapping[str, Any]] = {name: result.metrics}
        systems |= {f"{name} {kind}".removeprefix("transfer "): one for kind, one in _baselines(result)}
        for system, figures in systems.items():
            for test, scores in tests_of(figures).items():
                for metric in [one for one in _OPEN if one in scores] or list(scores)[:1]:
                    points = found.setdefault((test, metric), {}).setdefault(system, {})
                    points[amount] = Estimate.read(metric, scores[metric])
    several = {key: {name: one for name, one in drawn.items() if len(one) > 1} for key, drawn in found.items()}
    return {key: drawn for key, drawn in several.items() if drawn}


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
    clips = any(result.config.get("train_clips") for result in results)
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
        axes.set_xticks(list(places.values()), [f"{one:g}" if one is not None else "all" for one in places])
        axes.set_xlabel("recordings of each word" if clips else "minutes of speech")
        axes.grid(alpha=0.15)
        if metric not in GRADED:
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8)
    return _file(figure)


def _file(figure: Figure) -> bytes:
    """The same figures give the same bytes: no date, and ids drawn from one salt."""
    buffer = io.BytesIO()
    described = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "amounts"}):
        figure.savefig(buffer, format="svg", metadata=described)
    return buffer.getvalue()
