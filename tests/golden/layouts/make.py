"""Read by lhotse 1.33.0 from the tests' own layouts, the files beside this one: ``python make.py`` with ``tests`` on
the path and lhotse installed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import laid_out
from lhotse import RecordingSet, SupervisionSet
from lhotse.recipes import prepare_commonvoice, prepare_ljspeech

HERE = Path(__file__).parent


def rows(recordings: RecordingSet, supervisions: SupervisionSet, split: str | None) -> Iterable[dict[str, str | None]]:
    """What lhotse says of each utterance."""
    for one in supervisions:
        text = (one.custom or {}).get("normalized_text") or one.text
        audio = Path(recordings[one.recording_id].sources[0].source).name
        yield {"audio": audio, "text": text, "speaker": one.speaker, "split": split}


def write(name: str, found: Iterable[dict[str, str | None]]) -> None:
    lines = sorted(json.dumps(one, ensure_ascii=False) for one in found)
    (HERE / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        voice, lj = Path(work, "cv", "sw"), Path(work, "lj")
        laid_out.common_voice(voice)
        laid_out.lj_speech(lj)
        read = prepare_commonvoice(voice.parent, Path(work, "out"), "sw")["sw"]
        write("commonvoice", (row for split, one in read.items() for row in rows(**one, split=split)))
        write("ljspeech", rows(**prepare_ljspeech(lj), split=None))


if __name__ == "__main__":
    main()
