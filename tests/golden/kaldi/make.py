"""Written by lhotse 1.33.0 (``export_to_kaldi``): the files of a data directory with segments, beside this one."""

from __future__ import annotations

from pathlib import Path

from lhotse import AudioSource, Recording, RecordingSet, SupervisionSegment, SupervisionSet
from lhotse.kaldi import export_to_kaldi

RECORDINGS = RecordingSet.from_recordings(
    Recording(name, [AudioSource("file", [0], f"/corpus/wav/{name}.wav")], 8000, 8000, 1.0) for name in ("day1", "day2")
)
SUPERVISIONS = SupervisionSet.from_segments(
    SupervisionSegment(f"{speaker}-{start:.2f}", recording, start, 0.25, 0, text, "swh", speaker)
    for recording, speaker, start, text in (
        ("day1", "anna", 0.0, "habari ya asubuhi"),
        ("day1", "ben", 0.5, "nzuri"),
        ("day2", "anna", 0.1, "ŋ'ombe  na   mbuzi"),
    )
)

if __name__ == "__main__":
    export_to_kaldi(RECORDINGS, SUPERVISIONS, Path(__file__).parent)
