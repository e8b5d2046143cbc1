"""What compare does: say whether one system is better than another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from speechtransfer.comparison import compare as compare_runs

if TYPE_CHECKING:
    from speechtransfer.finished_verbs import Compare


def compare(console: Console, request: Compare) -> int:
    """Print a verdict for each test set that all runs have."""
    found = compare_runs(request.run, request.against, request.metric)
    if found.folds < found.all_folds:
        console.print(f"on the {found.folds} of {found.all_folds} folds that all of them were tested on")
    for name, verdict in found.verdicts.items():
        console.print(f"{name}: {verdict}")
    for side, fields in zip((request.run, request.against), found.unlike, strict=True):
        if fields:
            named = ", ".join(map(str, side))
            console.print(f"warning: {named} are no seeds of one system: they differ in {', '.join(fields)}")
    for name, why in found.left_out.items():
        console.print(f"{name}: not compared: {why}")
    return 0
