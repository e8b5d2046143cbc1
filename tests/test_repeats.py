"""Sound of a test that training has under another name: refused before anything is trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechtransfer.baseline import Scratch
from speechtransfer.encoders.conformer import Conformer
from speechtransfer.errors import ContaminationError
from speechtransfer.manifest import Manifest, Utterance, write_manifest
from speechtransfer.recipe import Recipe, run
from speechtransfer.schedule import FitSettings

RATE = 16_000
SPLITS = ("train", "train", "dev", "test")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)


def rows_in(folder: Path) -> tuple[Utterance, ...]:
    """Synthetic noises, each its own."""
    draw = np.random.default_rng(0)
    for number in range(len(SPLITS)):
        soundfile.write(folder / f"{number}.wav", draw.uniform(-0.3, 0.3, RATE), RATE)
    return tuple(
        Utterance(folder / f"{number}.wav", text="a b", language="eng", split=split)
        for number, split in enumerate(SPLITS)
    )


def trained(out: Path, encoder: Conformer, rows: tuple[Utterance, ...]) -> None:
    data = rows[0].audio.with_name("all.jsonl")
    write_manifest(data, Manifest(rows))
    settings = FitSettings(steps=1, evaluations=1)
    run(Recipe("r", (str(data),), "random:conformer", settings=settings, scratch=Scratch(folds=0)), out, encoder)


@pytest.mark.parametrize("learnt", [0, 2])
def test_a_test_recording_is_none_of_training_under_another_name(
    tmp_path: Path, tiny: Callable[..., Conformer], learnt: int
) -> None:
    rows = rows_in(tmp_path)
    trained(tmp_path / "first", tiny(), rows)
    shutil.copy(rows[learnt].audio, rows[3].audio)
    with pytest.raises(ContaminationError, match=rf"3\.wav, a test recording, is the same sound as .*{learnt}\.wav of"):
        trained(tmp_path / "second", tiny(), rows)
    assert not (tmp_path / "second").exists()


def test_spans_of_one_recording_may_be_of_several_splits(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    rows = tuple(
        replace(row, audio=tmp_path / "0.wav", start=number / 4, end=(number + 1) / 4)
        for number, row in enumerate(rows_in(tmp_path))
    )
    trained(tmp_path / "run", tiny(), rows)
    assert (tmp_path / "run" / "metrics.json").exists()
