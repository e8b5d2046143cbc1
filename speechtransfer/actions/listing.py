"""What sources does: say what there is to start from."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table

from speechtransfer.encoders import support_rows
from speechtransfer.offers import offers
from speechtransfer.sources import DEFAULT_SOURCE


def sources(console: Console) -> int:
    """List what lies here and what can be loaded from elsewhere."""
    table = Table(Column("--source", overflow="fold"), "family", "trained on", "licence", "MB")
    for one in offers():
        name = f"{one.name} (default)" if one.name == DEFAULT_SOURCE else one.name
        family = one.family or f"cannot be loaded: {one.fault}"
        cells = name, family, " ".join(one.languages) or "not said", one.licence or "not said", f"{one.megabytes:.1f}"
        table.add_row(*cells)
    console.print(table)
    header, *rows = support_rows()
    families = Table(*header)
    for row in rows:
        families.add_row(*(cell.replace("`", "") for cell in row))
    console.print(families)
    console.print(
        "Any run folder is a source, and so are random:FAMILY (random weights; of other sizes as in "
        "random:conformer,layers=8) and logmel:80 (plain log-mel)."
    )
    return 0
