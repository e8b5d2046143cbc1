"""What can be a source here, without loading any: packaged, and under ``$SPEECHTRANSFER_SOURCES``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from speechtransfer.checkpoint import read_json
from speechtransfer.errors import SourceError
from speechtransfer.sources import kind_of, licence_of, packaged_sources


@dataclass(frozen=True)
class Offer:
    """A source that ``--source NAME`` finds.

    Attributes:
        name: what to write after ``--source``.
        family: of its encoder; None where it cannot be loaded.
        languages: ISO 639-3 codes that it was trained on; empty where it does not say.
        licence: as it states it.
        megabytes: of its weights.
        fault: why it cannot be loaded, where it cannot.
    """

    name: str
    family: str | None
    languages: tuple[str, ...]
    licence: str | None
    megabytes: float
    fault: str | None = None


def offers() -> list[Offer]:
    """Every source that lies here, packaged ones first, then those of each folder of the variable, by name."""
    roots = [
        packaged_sources(),
        *map(Path, filter(None, os.environ.get("SPEECHTRANSFER_SOURCES", "").split(os.pathsep))),
    ]
    folders = [(folder, root) for root in roots if root.is_dir() for folder in _folders(root)]
    return [found for folder, root in folders if (found := _offer(folder, str(folder.relative_to(root)))) is not None]


def find_run(run: Path) -> Path:
    """The run folder of that name, or the packaged source, which recognises the languages that it was trained on."""
    packaged = packaged_sources() / run
    return packaged if not run.exists() and packaged.is_dir() else run


def _folders(root: Path) -> list[Path]:
    """The folders of a root, and those within them: a hub's names are of an owner and a model."""
    return sorted(folder for pattern in ("*", "*/*") for folder in root.glob(pattern) if folder.is_dir())


def _offer(folder: Path, name: str) -> Offer | None:
    """What a folder offers by that name; None where it holds no weights."""
    weights = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".pth", ".bin"))
    if not weights:
        return None
    size = weights / 1e6
    try:
        kind = kind_of(folder)
        if kind != "run":
            return Offer(name, kind, (), licence_of(folder), size)
        described = read_json(folder / "encoder.json")
        card = described["card"]
        return Offer(name, described["family"], tuple(card.get("languages") or ()), card.get("licence"), size)
    except (SourceError, KeyError, TypeError, AttributeError) as error:
        return Offer(name, None, (), None, size, str(error))
