"""What a teacher makes of training recordings, heard once and kept on disk for every epoch and every training."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from speechtransfer.audio import Recordings, content_hash
from speechtransfer.batches import scoring_batches
from speechtransfer.checkpoint import read_json, write_json
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import DataError
from speechtransfer.evaluate import BATCH_SECONDS
from speechtransfer.files import cache_folder
from speechtransfer.manifest import Manifest, Utterance

_INDEX, _FRAMES = "index.json", "frames.f16"
#: A channel that hardly moves is left nearly as it is, not blown up to noise.
_LEAST_DEVIATION = 1e-3


class Heard:
    """A teacher's frames of utterances, each channel with mean 0 and variance 1 over all of them.

    Args:
        folder: what ``hear`` wrote.
        sounds: which of its sounds each utterance id is.

    Attributes:
        width: channels.
        period: seconds from one frame to the next.
    """

    def __init__(self, folder: Path, sounds: Mapping[str, str]) -> None:
        index = read_json(folder / _INDEX)
        self.width, self.period = int(index["width"]), float(index["period"])
        self._frames = np.memmap(folder / _FRAMES, dtype=np.float16, mode="r").reshape(-1, self.width)
        self._mean, self._deviation = (torch.tensor(index[name]) for name in ("mean", "deviation"))
        self._spans = {name: index["spans"][sound] for name, sound in sounds.items()}

    def heard(self, name: str) -> tuple[Tensor, float] | None:
        """(T, width) float32 of an utterance by its id, and its seconds; None where it is not among them."""
        if name not in self._spans:
            return None
        first, last, seconds = self._spans[name]
        values = torch.from_numpy(self._frames[first:last].astype(np.float32))
        return (values - self._mean) / self._deviation, seconds

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Heard:
        """Itself: a transfer copies its objective, and what lies on disk needs no copy."""
        return self


def hear(encoder: Encoder, rows: Sequence[Utterance], recordings: Recordings, block: str | None = None) -> Heard:
    """What a frozen encoder makes of every row, from the user's cache where it was heard before.

    The encoder hears each utterance clean, alone and at its own speed. Values are kept in half precision,
    1 GB for six hours and 512 channels every 20 ms.

    Args:
        encoder: the teacher.
        rows: the training rows.
        recordings: a reader at the teacher's sample rate.
        block: whose output is wanted; None is the last.

    Raises:
        PlanError: no such block.
        AudioError: a recording cannot be read.
        DataError: no row, or the cache cannot be written.
    """
    if not rows:
        raise DataError("a teacher has nothing to hear: the training split is empty.")
    teacher = encoder.cut(block) if block is not None else encoder
    sounds = {row.id: f"{content_hash(row.audio)} {row.start} {row.end}" for row in rows}
    digest = hashlib.sha256(json.dumps([teacher.family, teacher.settings(), sorted(sounds.values())]).encode())
    for name, value in teacher.state_dict().items():  # the weights themselves: a random teacher has no checkpoint
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    folder = cache_folder() / "teachers" / digest.hexdigest()[:16]
    if not (folder / _INDEX).is_file():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".hear-") as work:
                _listen(teacher.eval(), Manifest(tuple(rows)), recordings, sounds, Path(work, "heard"))
                Path(work, "heard").rename(folder)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be written ({error.strerror}). Free some space, or name another folder in "
                "$SPEECHTRANSFER_CACHE."
            ) from error
    return Heard(folder, sounds)


def _listen(
    teacher: Encoder, manifest: Manifest, recordings: Recordings, sounds: Mapping[str, str], folder: Path
) -> None:
    """Write every row's frames one after the other, then the index."""
    folder.mkdir()
    spans: dict[str, tuple[int, int, float]] = {}
    seconds = {row.id: recordings.seconds(row) for row in manifest}
    total, squares = torch.zeros(teacher.width, dtype=torch.float64), torch.zeros(teacher.width, dtype=torch.float64)
    count = 0
    batches = scoring_batches(manifest, recordings, BATCH_SECONDS, teacher.pads_exactly)
    shown = Console(stderr=True)
    with (folder / _FRAMES).open("wb") as file, torch.inference_mode():
        for batch in track(batches, f"{teacher.card.id} listens", console=shown, transient=True):
            frames = teacher(batch.wave, batch.lengths)
            for name, values, length in zip(batch.ids, frames.values, frames.lengths.tolist(), strict=True):
                kept = values[:length].half()
                file.write(kept.numpy().tobytes())
                spans[sounds[name]] = (count, count + length, seconds[name])
                count += length
                total += kept.double().sum(0)
                squares += kept.double().square().sum(0)
    mean = total / max(count, 1)
    deviation = (squares / max(count, 1) - mean.square()).clamp(min=_LEAST_DEVIATION**2).sqrt()
    index = {"width": teacher.width, "period": teacher.period, "mean": mean.tolist(), "deviation": deviation.tolist()}
    write_json(folder / _INDEX, {**index, "spans": spans})
