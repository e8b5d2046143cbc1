"""The verbs that say what finished runs reached, as those of `cli`: their field docs are their help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

#: Given by place, not by name.
POSITIONAL = tyro.conf.Positional  # type: ignore[type-arg]


@dataclass(frozen=True)
class Compare:
    """Say whether finished runs are better than others on the same tests, with the interval of the difference."""

    run: Annotated[tuple[Path, ...], POSITIONAL]
    """The run folder; of several seeds of one system, all of them."""
    against: tuple[Path, ...]
    """The run folder of the other system, or of a baseline, such as runs/swahili/baselines/scratch."""
    metric: Literal["cer", "wer", "per", "accuracy", "mae"] | None = None
    """Default: what the task chooses its models by."""

    def __call__(self, console: Console) -> int:
        """Print a verdict for each test set."""
        from speechtransfer.actions.compare import compare

        return compare(console, self)


@dataclass(frozen=True)
class Report:
    """Write the HTML report of a run folder again."""

    run: Annotated[Path, POSITIONAL]
    """The run folder."""

    def __call__(self, console: Console) -> int:
        """Print where it lies."""
        from speechtransfer.report import write_report

        console.print(str(write_report(self.run)))
        return 0
