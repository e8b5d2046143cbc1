"""Frozen features to disk: what an encoder makes of each recording, for other programs to read."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechtransfer.audio import Recordings
from speechtransfer.batches import scoring_batches
from speechtransfer.checkpoint import write_json
from speechtransfer.console import watched
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import SettingsError
from speechtransfer.evaluate import BATCH_SECONDS
from speechtransfer.files import write_atomically, write_lines
from speechtransfer.manifest import Manifest, Utterance

_FIELDS = ("start", "end", "text", "label", "speaker", "language", "domain", "split", "group")


@dataclass(frozen=True)
class Embedded:
    """How much was written: files, frames in them, and numbers a frame."""

    files: int
    frames: int
    width: int


def embed(encoder: Encoder, manifest: Manifest, out: Path, block: str | None = None) -> Embedded:
    """Write one NumPy file (T, D) float32 an utterance, then ``index.jsonl`` and ``source.json``.

    A line of the index is the utterance's row with ``features`` (the file, relative to the index) and
    ``frames``. ``source.json`` says which encoder and block made them, and the seconds a frame. It is
    written last, so that a folder that has it is whole.

    Args:
        encoder: frozen; it is put in eval mode.
        manifest: the recordings.
        out: a folder that is empty or not there.
        block: the encoder's block whose output is wanted; None is the last.

    Raises:
        SettingsError: the folder holds files.
        PlanError: no such block.
        AudioError: a recording cannot be read.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingsError(f"{out}: is not empty. Choose another --out; nothing was changed.")
    encoder = encoder.cut(block) if block is not None else encoder
    encoder.eval()
    # Two folders may hold recordings of one name.
    names = {row.id: f"{number:06d}_{row.audio.stem}.npy" for number, row in enumerate(manifest)}
    rows = {row.id: row for row in manifest}
    found: dict[str, dict[str, Any]] = {}
    width = 0
    batches = scoring_batches(manifest, Recordings(encoder.sample_rate), BATCH_SECONDS, encoder.pads_exactly)
    with torch.inference_mode():
        for batch in watched(batches, "embedding"):
            frames = encoder(batch.wave, batch.lengths)
            width = frames.values.shape[-1]
            for name, values, length in zip(batch.ids, frames.values, frames.lengths.tolist(), strict=True):
                _write(out / names[name], values[:length].numpy())
                found[name] = _line(rows[name], names[name], length)
    write_lines(out / "index.jsonl", (found[row.id] for row in manifest))
    card = {key: value for key, value in encoder.card.as_dict().items() if key != "audio"}
    described = {"source": card, "family": encoder.family, "block": encoder.blocks[-1], "width": width}
    write_json(out / "source.json", {**described, "seconds_a_frame": encoder.period})
    return Embedded(len(found), sum(line["frames"] for line in found.values()), width)


def _line(row: Utterance, name: str, frames: int) -> dict[str, Any]:
    """One line of the index: what is known of the utterance, and where its features are."""
    known = {field: getattr(row, field) for field in _FIELDS if getattr(row, field) is not None}
    return {"features": name, "frames": frames, "audio": str(row.audio), **known}


def _write(path: Path, values: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_atomically(path, buffer.getvalue())
