"""What a frozen encoder makes of recordings, computed once and kept on disk for every epoch and every training."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from speechtransfer.audio import Recordings, content_hash
from speechtransfer.batches import scoring_batches
from speechtransfer.checkpoint import read_json, write_json
from speechtransfer.console import watched
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.errors import DataError, PlanError, SourceError
from speechtransfer.evaluate import BATCH_SECONDS
from speechtransfer.files import cache_folder
from speechtransfer.frames import OUTPUT, Batch, Frames
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.transfer import Plan

_INDEX, _FRAMES = "index.json", "frames.raw"
#: Of the two files; what another version kept is not looked at.
_FORMAT = 1
#: A channel that hardly moves is left nearly as it is, not blown up to noise.
_LEAST_DEVIATION = 1e-3


class Activations:
    """Frames (T, width) of utterances; a reader of them that training takes in the place of sound.

    Args:
        folder: what ``keep`` wrote.
        sounds: which of its sounds each utterance id is.
        start: the block whose input they are; ``objective`` where they are the encoder's own output.

    Attributes:
        width: channels.
        period: seconds from one frame to the next.
        mean: (width,) of each channel over all frames.
        deviation: (width,) standard deviations likewise.
    """

    def __init__(self, folder: Path, sounds: Mapping[str, str], start: str) -> None:
        index = read_json(folder / _INDEX)
        self.start: str | None = start
        self.width, self.period = int(index["width"]), float(index["period"])
        self.mean, self.deviation = (torch.tensor(index[name]) for name in ("mean", "deviation"))
        self._frames = np.memmap(folder / _FRAMES, dtype=index["dtype"], mode="r").reshape(-1, self.width)
        self._spans: dict[str, tuple[int, int, float]] = {name: index["spans"][one] for name, one in sounds.items()}

    def __contains__(self, name: str) -> bool:
        """Whether there are frames of the utterance with this id."""
        return name in self._spans

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """(T, width) float32."""
        return self.frames(utterance.id)

    def frames(self, name: str) -> np.ndarray:
        """(T, width) float32 of an utterance by its id."""
        first, last, _ = self._spans[name]
        return self._frames[first:last].astype(np.float32)

    def seconds(self, utterance: Utterance) -> float:
        """Duration of the sound that they were made of."""
        return self.length(utterance.id)

    def length(self, name: str) -> float:
        """The same by the utterance's id."""
        return self._spans[name][2]

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Activations:
        """Itself: a transfer copies its objective, and what lies on disk needs no copy."""
        return self


def keep(
    encoder: Encoder,
    rows: Sequence[Utterance],
    recordings: Recordings,
    block: str | None = None,
    dtype: Literal["float16", "float32"] = "float32",
    taps: Sequence[str] = (),
) -> Activations:
    """What a frozen encoder makes of every row, from the user's cache where it was made before.

    The encoder hears each utterance clean, alone and at its own speed. Six hours at 512 channels every 20 ms
    are 2 GB, in half precision 1 GB.

    Args:
        encoder: run in eval mode; it is left as it was.
        rows: the recordings.
        recordings: a reader at the encoder's sample rate.
        block: whose output is wanted; None is the last.
        dtype: of the values kept.
        taps: blocks up to that one whose outputs are kept side by side in the place of its own alone.

    Raises:
        PlanError: no such block, or taps whose frames are of different sizes.
        AudioError: a recording cannot be read.
        DataError: no row, or the cache cannot be written.
    """
    if not rows:
        raise DataError("there is no recording to run the encoder on: the split is empty.")
    whole = block in (None, encoder.blocks[-1])
    prefix = (copy.deepcopy(encoder) if whole else encoder.cut(str(block))).eval()
    start = (*encoder.blocks, OUTPUT)[len(prefix.blocks)]
    sounds = {row.id: f"{content_hash(row.audio)} {row.start} {row.end}" for row in rows}
    described = [_FORMAT, prefix.family, prefix.settings(), dtype, sorted(sounds.values())]
    if taps:  # what was kept without any still goes by its name
        described.append(list(taps))
    digest = hashlib.sha256(json.dumps(described).encode())
    for name, value in prefix.state_dict().items():  # the weights themselves: random ones have no checkpoint
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    folder = cache_folder() / "activations" / digest.hexdigest()[:16]
    if not _whole(folder):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".keep-") as work:
                _write(
                    _Tapped(prefix, tuple(taps)), Manifest(tuple(rows)), recordings, sounds, Path(work, "kept"), dtype
                )
                Path(work, "kept").rename(folder)
        except OSError as error:
            if _whole(folder):  # another process was quicker
                return Activations(folder, sounds, start)
            raise DataError(
                f"{folder}: cannot be written ({error.strerror}). Free some space, or name another folder in "
                "$SPEECHTRANSFER_CACHE."
            ) from error
    return Activations(folder, sounds, start)


def _whole(folder: Path) -> bool:
    """Whether both files are there, and the frames as long as the index says."""
    try:
        index = read_json(folder / _INDEX)
        return bool((folder / _FRAMES).stat().st_size == index["bytes"])
    except (OSError, SourceError, KeyError, TypeError):
        return False


@dataclass(frozen=True)
class _Tapped:
    """An encoder, and which blocks' outputs are wanted of it; none are its own alone."""

    encoder: Encoder
    taps: tuple[str, ...]

    @property
    def width(self) -> int:
        return self.encoder.width * max(1, len(self.taps))

    def __call__(self, batch: Batch) -> Frames:
        frames = self.encoder.run(batch.wave, batch.lengths, taps=self.taps)
        if not self.taps:
            return frames
        outputs = [frames.taps[name] for name in self.taps]
        if any(one.shape != frames.values.shape for one in outputs):
            raise PlanError(f"{', '.join(self.taps)}: frames of different sizes cannot be kept side by side.")
        return replace(frames, values=torch.cat(outputs, -1), taps={})


def _write(
    tapped: _Tapped, manifest: Manifest, recordings: Recordings, sounds: Mapping[str, str], folder: Path, dtype: str
) -> None:
    """Every row's frames one after the other, then the index."""
    folder.mkdir()
    spans: dict[str, tuple[int, int, float]] = {}
    seconds = {row.id: recordings.seconds(row) for row in manifest}
    encoder = tapped.encoder
    total, squares = torch.zeros(tapped.width, dtype=torch.float64), torch.zeros(tapped.width, dtype=torch.float64)
    count = 0
    batches = scoring_batches(manifest, recordings, BATCH_SECONDS, encoder.pads_exactly)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder.to(device)
    with (folder / _FRAMES).open("wb") as file, torch.inference_mode():
        for batch in watched(batches, f"{encoder.card.id} listens"):
            frames = tapped(batch.to(device))
            for name, values, length in zip(batch.ids, frames.values, frames.lengths.tolist(), strict=True):
                kept = values[:length].cpu().to(getattr(torch, dtype))
                file.write(kept.numpy().tobytes())
                spans[sounds[name]] = (count, count + length, seconds[name])
                count += length
                total += kept.double().sum(0)
                squares += kept.double().square().sum(0)
    mean = total / max(count, 1)
    deviation = (squares / max(count, 1) - mean.square()).clamp(min=_LEAST_DEVIATION**2).sqrt()
    moments = {"mean": mean.tolist(), "deviation": deviation.tolist()}
    write_json(
        folder / _INDEX,
        {
            "dtype": dtype,
            "bytes": (folder / _FRAMES).stat().st_size,
            "width": tapped.width,
            "period": encoder.period,
            **moments,
            "spans": spans,
        },
    )


def of_frozen(model: Model, plan: Plan, rows: Sequence[Utterance], recordings: Recordings) -> Activations:
    """What the blocks that never learn make of every row, up to the first that does.

    Raises:
        PlanError: the first block learns already.
        AudioError, DataError: as ``keep``.
    """
    encoder = model.encoder
    learning = {
        encoder.block_of(item.name.removeprefix("encoder."))
        for item in plan.parameters
        if item.scale > 0 and item.name.startswith("encoder.")
    }
    first = next((place for place, name in enumerate(encoder.blocks) if name in learning), len(encoder.blocks))
    if not first:
        raise PlanError(
            f"cache: nothing can be kept, since {encoder.blocks[0]} learns. Freeze the first blocks "
            "(a rule with scale 0), or leave out cache."
        )
    taps = model.kept if first == len(encoder.blocks) and model.objective.taps else ()
    return keep(encoder, rows, recordings, encoder.blocks[first - 1], taps=taps)


class Heard:
    """A teacher's frames, each channel with mean 0 and variance 1 over all of them.

    Args:
        kept: what the teacher made of the training rows.
        card: the teacher's.

    Attributes:
        card: where the teacher comes from.
        width: channels.
        period: seconds from one frame to the next.
    """

    def __init__(self, kept: Activations, card: SourceCard) -> None:
        self._kept, self.card = kept, card
        self.width, self.period = kept.width, kept.period

    def heard(self, name: str) -> tuple[Tensor, float] | None:
        """(T, width) float32 of an utterance by its id, and its seconds; None where it is not among them."""
        if name not in self._kept:
            return None
        values = torch.from_numpy(self._kept.frames(name))
        return (values - self._kept.mean) / self._kept.deviation, self._kept.length(name)
