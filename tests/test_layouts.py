"""Layouts that no program exports, read as lhotse reads them (`golden/layouts/make.py`)."""

from __future__ import annotations

import json
from pathlib import Path

import laid_out

from speechtransfer import corpora

GOLDEN = Path(__file__).parent / "golden" / "layouts"


def by_lhotse(name: str) -> set[tuple[str | None, ...]]:
    lines = map(json.loads, (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    return {(one["audio"], one["text"], one["speaker"], one["split"]) for one in lines}


def by_us(folder: Path) -> set[tuple[str | None, ...]]:
    return {(row.audio.name, row.text, row.speaker, row.split) for row in corpora.load(str(folder))}


def test_the_splits_of_common_voice(tmp_path: Path) -> None:
    laid_out.common_voice(tmp_path)
    ours, theirs = by_us(tmp_path), by_lhotse("commonvoice")
    assert theirs < ours
    # What was validated and stands in no split is for training where its speaker is in no test; lhotse leaves it out.
    assert ours - theirs == {("v1.mp3", "Maji", "eva", "train"), ("v3.mp3", "Habari", "finn", "train")}


def test_the_list_of_ljspeech(tmp_path: Path) -> None:
    laid_out.lj_speech(tmp_path)
    ours, theirs = by_us(tmp_path), by_lhotse("ljspeech")
    assert ours < theirs
    assert theirs - ours == {("LJ-4.wav", "", None, None)}, "a line without text is in our ledger"
