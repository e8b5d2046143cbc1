"""Written by lhotse 1.33.0, the files beside this one: ``python make.py`` in an empty copy of the folder."""

from __future__ import annotations

from pathlib import Path

from lhotse import AudioSource, CutSet, MonoCut, Recording, RecordingSet, SupervisionSegment, SupervisionSet
from lhotse.cut import MultiCut


def recording(name: str, channels: int = 1, source: str | None = None, kind: str = "file") -> Recording:
    numbers = list(range(channels))
    sources = [AudioSource(kind, numbers, source or f"/corpus/wav/{name}.wav")]
    return Recording(name, sources, 16_000, 32_000, 2.0, channel_ids=numbers)


def said(of: str, number: int, start: float, text: str | None, channel: int | list[int] = 0) -> SupervisionSegment:
    return SupervisionSegment(f"{of}-{number}", of, start, 0.5, channel, text, language="swh", speaker=f"s-{of}")


def main(folder: Path) -> None:
    mono, stereo = recording("mono"), recording("stereo", 2)
    first = MonoCut("c1", 0.5, 1.5, 0, [said("mono", 1, 0.25, "moja"), said("mono", 2, 1, "mbili")], recording=mono)
    wide = MultiCut("c2", 0, 2.0, [0, 1], [said("stereo", 1, 0.1, "tatu", [0, 1])], recording=stereo)
    left = MonoCut("c3", 0, 2.0, 0, [said("stereo", 2, 1, "nne")], recording=stereo)
    piped = MonoCut("c4", 0, 2.0, 0, [said("piped", 1, 0, "tano")], recording=recording("piped", 1, "rm x", "command"))
    url = "https://example.org/far.wav"
    far = MonoCut("c5", 0, 2.0, 0, [said("far", 1, 0, "sita")], recording=recording("far", 1, url, "url"))
    fast = first.perturb_speed(1.1)
    slower = MonoCut("c7", 0, 2.0, 0, [said("mono", 1, 0.75, "moja")], recording=mono.resample(8000))
    empty = MonoCut("c8", 0, 1.0, 0, recording=mono)
    mixed = first.append(left).with_id("c9")
    dumb = MonoCut("c10", 0, 2.0, 0, [said("mono", 3, 0.1, None)], recording=mono)
    cuts = [first, wide, left, piped, far, fast, slower, empty, mixed, dumb]
    CutSet.from_cuts(cuts).to_file(str(folder / "libri_cuts_train.jsonl"))

    RecordingSet.from_recordings([mono, stereo]).to_file(str(folder / "xx_recordings_dev.jsonl"))
    segments = [said("mono", 1, 0.75, "moja"), said("stereo", 1, 0.1, "tatu", [0, 1]), said("stereo", 2, 1, "nne", 1)]
    SupervisionSet.from_segments([*segments, said("gone", 1, 0, "tano")]).to_file(
        str(folder / "xx_supervisions_dev.jsonl")
    )


if __name__ == "__main__":
    main(Path(__file__).parent)
