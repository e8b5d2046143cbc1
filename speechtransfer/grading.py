"""How near the numbers are that a model gives, as people read it: each recording's grade, given over true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speechtransfer.checkpoint import blaming
from speechtransfer.pictures import INK, LINES, canvas, svg, wrapped
from speechtransfer.rundata import Heard


def grades(rows: Sequence[Heard], path: Path) -> str:
    """The section of a report: what was given over what was true, beside the line where both agree.

    Raises:
        SourceError: a line of the predictions holds no number.
    """
    if not rows:
        return ""
    with blaming(path):
        said, heard = (np.array([float(getattr(row, side)) for row in rows]) for side in ("reference", "hypothesis"))
    figure, axes = canvas(4.6, 4.2)
    ends = float(min(said.min(), heard.min())), float(max(said.max(), heard.max()))
    axes.plot(ends, ends, color=INK, alpha=0.5, linewidth=1)
    axes.plot(said, heard, "o", color=LINES[0][0], ms=3.5, alpha=0.5)
    axes.set_xlabel("label")
    axes.set_ylabel("given")
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    middle = float(np.abs(said - np.median(said)).mean())
    text = f"Always giving the median label would be off by {middle:.3g} in the mean."
    return svg(figure, "Grades given over labels") + wrapped("p", text, "dim")
