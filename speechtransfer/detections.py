"""How well a spotter detects its words, as people read it: by word, by speaker, at every threshold, how calibrated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechtransfer import pictures
from speechtransfer.pictures import table, wrapped
from speechtransfer.rundata import Heard
from speechtransfer.score import det_curve, exact_interval

#: Bins of the reliability diagram.
_BINS = 10
#: False-accept rates below this share are beyond what a test of this size shows; the axes are logarithmic.
_LEAST = 1e-4
#: Rows of a table before it is cut.
_LISTED = 40


def detections(rows: Sequence[Heard]) -> str:
    """The section of a report; empty where the rows are no words with scores."""
    scored = [row for row in rows if row.scores]
    if not scored or len(scored) < len(rows):
        return ""
    parts = [_by("word", [(row.reference, row) for row in scored])]
    speakers = [(row.speaker, row) for row in scored if row.speaker]
    if len({name for name, _ in speakers}) > 1:
        parts.append(_by("speaker", speakers))
    drawn = f'<div class="side">{_det(scored)}{_reliability(scored)}</div>'
    return drawn + "".join(parts)


def _by(name: str, rows: Sequence[tuple[str | None, Heard]]) -> str:
    """Errors of each word or speaker, the most first; intervals are exact binomial ones."""
    groups: dict[str, list[Heard]] = {}
    for key, row in rows:
        groups.setdefault(str(key), []).append(row)
    lines = []
    for key, held in sorted(
        groups.items(), key=lambda item: (-sum(row.errors for row in item[1]) / len(item[1]), item)
    ):
        wrong = sum(row.errors > 0 for row in held)
        low, high = exact_interval(wrong, len(held))
        words = [row for row in held if row.scores and row.reference in row.scores and row.accepted is not None]
        missed = f"{sum(row.reference not in (row.accepted or ()) for row in words)} of {len(words)}" if words else ""
        lines.append((key, len(held), wrong, f"{wrong / len(held):.1%} [{100 * low:.1f}, {100 * high:.1f}]", missed))
    header = (name, "recordings", "taken for another", "error rate", "below the threshold")
    more = wrapped("p", f"{len(lines) - _LISTED} more have fewer errors.", "dim") if len(lines) > _LISTED else ""
    return wrapped("h3", f"By {name}") + table(header, lines[:_LISTED]) + more


def _det(rows: Sequence[Heard]) -> str:
    """SVG of false rejects against false accepts over every threshold (Martin et al. 1997), one trial a word."""
    trials = [(score, word == row.reference) for row in rows for word, score in (row.scores or {}).items()]
    scores, targets = (np.array(column) for column in zip(*trials, strict=True))
    if targets.all() or not targets.any():
        return ""
    accepts, rejects, _ = det_curve(scores, targets)
    figure, axes = pictures.canvas(4.6, 3.4)
    axes.plot(
        np.maximum(accepts, _LEAST), np.maximum(rejects, _LEAST), color=pictures.LINES[0][0], drawstyle="steps-post"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    axes.set_title("Detection error trade-off")
    axes.set_xlabel("false accepts, of trials without the word")
    axes.set_ylabel("false rejects")
    return pictures.svg(figure, "False rejects against false accepts over every threshold")


def _reliability(rows: Sequence[Heard]) -> str:
    """SVG of how often the model is right against how sure it is (Guo et al. 2017, arXiv:1706.04599, section 2)."""
    sure = np.array([row.confidence if row.confidence is not None else np.nan for row in rows])
    if np.isnan(sure).any():
        return ""
    right = np.array([row.errors == 0 for row in rows], dtype=float)
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    held = [(sure[bins == one].mean(), right[bins == one].mean(), (bins == one).sum()) for one in np.unique(bins)]
    gap = sum(count * abs(confidence - share) for confidence, share, count in held) / len(rows)
    figure, axes = pictures.canvas(3.8, 3.4)
    axes.plot([0, 1], [0, 1], "--", color=pictures.INK, alpha=0.4, linewidth=1)
    for confidence, share, count in held:
        low, high = exact_interval(share * count, count)
        axes.plot([confidence] * 2, [low, high], color=pictures.LINES[0][0], alpha=0.5)
        axes.plot(confidence, share, "o", color=pictures.LINES[0][0], ms=3 + 9 * np.sqrt(count / len(rows)))
    axes.set_title(f"Reliability: {gap:.1%} off on average")
    axes.set_xlabel("confidence")
    axes.set_ylabel("right")
    return pictures.svg(figure, "How often the model is right against how sure it is, in ten bins")
