"""ELAN files for the tests of their importer: those that pympi wrote, and some laid out by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "elan"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def recorded(folder: Path) -> Path:
    """The files that pympi wrote, and where their media lie today (they are empty)."""
    shutil.copytree(GOLDEN, folder / "eaf", ignore=shutil.ignore_patterns("*.py"))
    for name in ("moved/Aufnahmen/Gespräch 1.wav", "sound/story.wav", "sound/story.mpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def aligned(identifier: str, start: int | str | None, end: int | str | None, text: str = "word") -> tuple[str, str]:
    """The time slots of an annotation, and itself."""
    slots = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{which}{identifier[1:]}"{"" if time is None else f""" TIME_VALUE="{time}" """}/>'
        for which, time in (("1", start), ("2", end))
    )
    references = " ".join(f'TIME_SLOT_REF{which}="ts{which}{identifier[1:]}"' for which in "12")
    value = f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE>"
    return slots, f'<ALIGNABLE_ANNOTATION ANNOTATION_ID="{identifier}" {references}>{value}</ALIGNABLE_ANNOTATION>'


def referring(identifier: str, to: str, text: str = "word") -> tuple[str, str]:
    value = f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE>"
    return "", f'<REF_ANNOTATION ANNOTATION_ID="{identifier}" ANNOTATION_REF="{to}">{value}</REF_ANNOTATION>'


def tier(name: str, *annotations: tuple[str, str], kind: str = "speech", **attributes: str) -> tuple[str, str]:
    """The slots of a tier's annotations, and the tier."""
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    inside = "".join(f"<ANNOTATION>{one}</ANNOTATION>" for _, one in annotations)
    slots = "".join(slots for slots, _ in annotations)
    return slots, f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="{kind}"{more}>{inside}</TIER>'


def medium(url: str = "", **attributes: str) -> str:
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<MEDIA_DESCRIPTOR MEDIA_URL="{url}"{more}/>'


def eaf(path: Path, *tiers: tuple[str, str], media: str = medium("a.wav"), before: str = "") -> str:
    """Write a file as ELAN lays it out."""
    slots = "".join(slots for slots, _ in tiers)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n{before}<ANNOTATION_DOCUMENT VERSION="3.0" xmlns:xsi="{XSI}" '
        f'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd"><HEADER>{media}</HEADER>'
        f"<TIME_ORDER>{slots}</TIME_ORDER>{''.join(one for _, one in tiers)}</ANNOTATION_DOCUMENT>",
        encoding="utf-8",
    )
    return str(path)
