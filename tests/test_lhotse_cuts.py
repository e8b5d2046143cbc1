"""Lhotse's supervisions become rows as lhotse wrote them; what is no stretch of one file is dropped with a reason."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speechtransfer import corpora
from speechtransfer.corpora import lhotse_cuts
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest

GOLDEN = Path(__file__).parent / "golden" / "lhotse"
CUTS, RECORDINGS, SUPERVISIONS = (
    f"{name}.jsonl" for name in ("libri_cuts_train", "xx_recordings_dev", "xx_supervisions_dev")
)


@pytest.fixture
def golden(tmp_path: Path) -> Callable[..., Path]:
    """Copies files that lhotse wrote, beside their sound (which is empty)."""

    def copy(*names: str, packed: bool = False) -> Path:
        for name in names:
            content = (GOLDEN / name).read_bytes()
            if packed:
                (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                shutil.copy(GOLDEN / name, tmp_path)
        (tmp_path / "wav").mkdir(exist_ok=True)
        for name in ("mono", "stereo"):
            (tmp_path / "wav" / f"{name}.wav").touch()
        return tmp_path

    return copy


def told(manifest: Manifest) -> list[tuple[Any, ...]]:
    return [(one.audio.stem, one.start, one.end, one.text) for one in manifest]


def cut(**values: Any) -> dict[str, Any]:
    """The first cut that lhotse wrote, with other values."""
    first: dict[str, Any] = json.loads((GOLDEN / CUTS).read_text(encoding="utf-8").partition("\n")[0])
    return {**first, **values}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_cuts_are_spans_of_their_recordings(golden: Callable[..., Path], packed: bool, whole: bool) -> None:
    folder = golden(CUTS, packed=packed)
    data = str(folder if whole else folder / (f"{CUTS}.gz" if packed else CUTS))
    assert corpora.detect(data) == "lhotse"
    manifest = corpora.load(data, language="eng")
    assert told(manifest) == [
        ("mono", 0.75, 1.25, "moja"),
        ("mono", 1.5, 2.0, "mbili"),
        ("stereo", 0.1, 0.6, "tatu"),
    ]
    assert {(one.split, one.language) for one in manifest} == {("train", "swh")}
    assert [one.speaker for one in manifest] == ["s-mono", "s-mono", "s-stereo"]
    reasons = sorted(one.reason.split(":")[0] for one in manifest.ledger)
    assert reasons == sorted(
        ["in some of the channels of its recording alone"]
        + ["sound from no file, which is not fetched and no command run"] * 2
        + ["sound that lhotse was to change"] * 2
        + ["the same stretch and text as another annotation", "a cut without a supervision"]
        + ["a MixedCut, which is no stretch of one recording"] * 3
        + ["no text in the supervision"]
    )
    # rows + dropped = given: every supervision, and the cut that has none.
    supervisions = (GOLDEN / CUTS).read_text(encoding="utf-8").count('"recording_id"')
    assert len(manifest) + len(manifest.ledger) == supervisions + 1


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("named", [None, RECORDINGS, SUPERVISIONS])
def test_supervisions_find_their_recordings(golden: Callable[..., Path], packed: bool, named: str | None) -> None:
    folder = golden(RECORDINGS, SUPERVISIONS, packed=packed)
    data = str(folder / f"{named}{'.gz' if packed else ''}") if named else str(folder)
    assert corpora.detect(data) == "lhotse"
    manifest = corpora.load(data)
    assert told(manifest) == [("mono", 0.75, 1.25, "moja"), ("stereo", 0.1, 0.6, "tatu")]
    assert {one.split for one in manifest} == {"dev"}
    assert [one.reason.split(":")[0] for one in manifest.ledger] == [
        "in some of the channels of its recording alone",
        "no recording",
    ]


def test_cuts_come_before_what_they_were_made_from(golden: Callable[..., Path]) -> None:
    folder = golden(CUTS, RECORDINGS, SUPERVISIONS)
    manifest = corpora.load(str(folder))
    assert len(manifest) == 3
    assert {one.audio for one in manifest.ledger} >= {str(folder / RECORDINGS), str(folder / SUPERVISIONS)}


def test_half_a_pair_is_refused(golden: Callable[..., Path]) -> None:
    folder = golden(SUPERVISIONS)
    with pytest.raises(DataError, match=r"needs one of xx_recordings_dev\.jsonl and .*neither lies"):
        corpora.load(str(folder))


@pytest.mark.parametrize("name", ["cuts.jsonl", "supervisions.jsonl", "recordings.jsonl", "manifest.jsonl"])
def test_our_own_manifests_are_left_alone(golden: Callable[..., Path], name: str) -> None:
    folder = golden()
    (folder / name).write_text('{"audio": "wav/mono.wav", "text": "moja"}\n', encoding="utf-8")
    assert corpora.detect(str(folder / name)) == "manifest"
    if name == "manifest.jsonl":
        golden(CUTS)
        assert corpora.detect(str(folder)) == "manifest"
    # The first line tells, where the name does not.
    (folder / "mine.jsonl").write_text(json.dumps(cut()), encoding="utf-8")
    assert corpora.detect(str(folder / "mine.jsonl")) == "lhotse"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"start": -3.0}, "an empty or impossible span"),
        ({"recording": None}, "no recording"),
        ({"type": "PaddingCut"}, "a PaddingCut"),
        ({"recording": {"sources": [{"type": "memory", "source": "UklGRg=="}]}}, "sound from no file"),
        ({"recording": {"sources": [{"type": "file", "channels": [0], "source": "gone.wav"}]}}, "no sound file"),
        ({"recording": {"sources": [{"type": "file", "source": "a"}] * 2}}, "channels in several files"),
    ],
)
def test_what_cannot_be_used_says_why(golden: Callable[..., Path], values: dict[str, Any], reason: str) -> None:
    folder = golden()
    text = f"{json.dumps(cut(**values))}\n"
    (folder / "cuts.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"holds no supervision that can be used\. The first of \d: .*{reason}"):
        corpora.load(str(folder))
    (folder / "cuts.jsonl").write_text(text + json.dumps(cut()), encoding="utf-8")
    manifest = corpora.load(str(folder))
    assert len(manifest) == 2 and manifest.ledger[0].reason.startswith(reason)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{",
        "[" * 100_000,
        *(json.dumps(cut(**values)) for values in ({"start": "0"}, {"start": True}, {"supervisions": {}})),
        *(json.dumps(cut(**values)) for values in ({"supervisions": [None]}, {"recording": []}, {"start": 10**400})),
        json.dumps(cut(recording={"sources": [{"type": "file", "channels": ["a"], "source": "a"}]})),
        json.dumps(cut(start=float("nan"))),
    ],
    ids=lambda line: line[:40],
)
def test_a_damaged_line_is_named(golden: Callable[..., Path], line: str) -> None:
    folder = golden()
    (folder / "cuts.jsonl").write_text(f"{json.dumps(cut())}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"cuts\.jsonl:3: "):
        corpora.load(str(folder))


def test_a_bomb_is_not_unpacked(golden: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lhotse_cuts, "_MOST_BYTES", 100_000)
    folder = golden()
    for content in (b"\n" * 10_000_000, b" " * 20_000_000):
        (folder / "cuts.jsonl.gz").write_bytes(gzip.compress(content))
        with pytest.raises(DataError, match="too long to be a manifest"):
            corpora.load(str(folder))
