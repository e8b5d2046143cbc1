"""Whatever a user has -> Manifest: finds out which kind of corpus DATA is, and loads it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from speechtransfer.corpora import (
    asterisk,
    debian,
    elan,
    fillets,
    folder,
    hub,
    kaldi,
    lhotse_cuts,
    lists,
    mswc,
    praat,
    sidecar,
    speechcommands,
    subtitles,
    tables,
    tuxpaint,
    voice_tsv,
)
from speechtransfer.corpora.contract import Importer
from speechtransfer.corpora.tiers import parted
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, read_manifest

_MANIFEST_SUFFIXES = (".jsonl", ".ndjson")


def _manifest_of(data: str) -> Path:
    """DATA itself, or the manifest that lies in it: it knows of speakers and groups what folders' names do not."""
    return Path(data) / "manifest.jsonl" if Path(data).is_dir() else Path(data)


def _recognises_manifest(data: str) -> bool:
    path = _manifest_of(data)
    return path.suffix.lower() in _MANIFEST_SUFFIXES and path.is_file()


def _load_manifest(data: str, audio_roots: Sequence[str | Path], language: str | None) -> Manifest:
    manifest = read_manifest(_manifest_of(data), audio_roots)
    rows = tuple(replace(row, language=row.language or language) for row in manifest)
    return Manifest(rows, manifest.ledger)


IMPORTERS: dict[str, Importer] = {
    "lhotse": lhotse_cuts.IMPORTER,  # which tells its own .jsonl files from manifests
    "manifest": Importer(
        "a .jsonl file, one utterance a line, or a folder that holds manifest.jsonl",
        _recognises_manifest,
        _load_manifest,
    ),
    "debian": debian.importer(asterisk.CORPORA | tuxpaint.CORPORA | fillets.CORPORA),
    "hub": hub.IMPORTER,
    "commonvoice": voice_tsv.IMPORTER,
    "kaldi": kaldi.IMPORTER,
    "mswc": mswc.IMPORTER,
    "speechcommands": speechcommands.IMPORTER,
    "elan": elan.IMPORTER,
    "praat": praat.IMPORTER,
    "sidecar": sidecar.IMPORTER,
    "subtitles": subtitles.IMPORTER,
    "list": lists.IMPORTER,
    "table": tables.IMPORTER,
    "classes": folder.IMPORTER,
}
"""By name, in the order in which they are asked whether DATA is theirs."""


def _found(data: str) -> str:
    """DATA itself where there is such a path; otherwise what lies by that name in a folder of the variable."""
    roots = filter(None, os.environ.get("SPEECHTRANSFER_DATA", "").split(os.pathsep))
    places = [] if _is_there(data) or Path(data).is_absolute() else [str(Path(root) / data) for root in roots]
    return next((place for place in places if _is_there(place)), data)


def _is_there(data: str) -> bool:
    """Whether DATA is a path that exists, without the choice of tiers that may follow it."""
    return Path(parted(data)[0]).exists()


def detect(data: str) -> str:
    """Name of the format that DATA has: a key of ``IMPORTERS``.

    Raises:
        DataError: no such path, or nothing that any importer recognises.
    """
    data = _found(data)
    for name, importer in IMPORTERS.items():
        if importer.recognises(data):
            return name
    known = "".join(f"\n  {name}: {importer.looks_like}" for name, importer in IMPORTERS.items())
    if not _is_there(data):
        raise DataError(f"{data}: no such file or folder, nor one under $SPEECHTRANSFER_DATA. DATA may be:{known}")
    raise DataError(f"{data}: is none of the formats that were looked for:{known}\nName one with --format.")


def load(
    data: str,
    format: str | None = None,
    audio_roots: Sequence[str | Path] = (),
    language: str | None = None,
) -> Manifest:
    """Load a corpus; rows + dropped ledger rows = what the corpus holds.

    Args:
        data: a path, a name under ``$SPEECHTRANSFER_DATA``, or a name such as ``debian:asterisk-ru``. Which tiers
            of annotated recordings are read may follow a path: ``folder#tier=words``.
        format: a key of ``IMPORTERS``; None is to find out.
        audio_roots: folders outside DATA that audio may lie in.
        language: ISO 639-3 code of rows that state none.

    Raises:
        DataError: an unknown format, or data that cannot be used as they are.
    """
    data = _found(data)
    name = format or detect(data)
    if name not in IMPORTERS:
        raise DataError(f"{name!r} is no format; the formats are {', '.join(IMPORTERS)}.")
    return IMPORTERS[name].load(data, audio_roots, language)
