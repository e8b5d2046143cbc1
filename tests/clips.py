"""Sound files for the tests of importers, and what an importer dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from speechtransfer.manifest import Manifest


def clip(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(800) / 3), 8000)
    return path


def dropped(manifest: Manifest) -> dict[str, str]:
    """Reason by file name, of what did not make it in."""
    return {Path(row.audio).name: row.reason for row in manifest.ledger if row.action == "dropped"}
