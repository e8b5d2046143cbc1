"""How people are told something: none of it is markup, since paths and words may hold any character."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

_Item = TypeVar("_Item")


def plain_console(stderr: bool = False) -> Console:
    """A console that prints ``[a]`` and ``:cat:`` as they stand, and leaves long lines to the terminal.

    Args:
        stderr: print beside the results, not among them.
    """
    return Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)


def progress_bar(count: ProgressColumn | None = None) -> Progress:
    """A progress bar beside the results, for as long as it is open, where there is a terminal to show it.

    Args:
        count: how what is done is told; None is as items out of all.
    """
    console = Console(stderr=True)
    doing = TextColumn("{task.description}", markup=False)
    columns = doing, BarColumn(), count or MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def watched(items: Iterable[_Item], doing: str, total: int | None = None) -> Iterator[_Item]:
    """The items, with a progress bar while they are gone through.

    Args:
        items: what is worked on.
        doing: what the bar says.
        total: how many there are, where they do not know it themselves.
    """
    with progress_bar() as bar:
        yield from bar.track(items, total, description=doing)
