"""One training: what it refuses before it begins."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechtransfer.audio import Recordings
from speechtransfer.encoders.conformer import Conformer
from speechtransfer.errors import ContaminationError
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.objectives import Ctc
from speechtransfer.schedule import FitSettings
from speechtransfer.transfer import Rule, Transfer
from speechtransfer.trial import Task, run_trial
from speechtransfer.vocabulary import Vocabulary

RATE = 16_000
SPLITS = ("train", "train", "dev", "test")


def rows_in(folder: Path) -> tuple[Utterance, ...]:
    """Synthetic noises, each its own."""
    draw = np.random.default_rng(0)
    for number in range(len(SPLITS)):
        soundfile.write(folder / f"{number}.wav", draw.uniform(-0.3, 0.3, RATE), RATE)
    return tuple(
        Utterance(folder / f"{number}.wav", text="a b", language="eng", split=split)
        for number, split in enumerate(SPLITS)
    )


def task(rows: tuple[Utterance, ...]) -> Task:
    manifest = Manifest(rows)
    return Task(
        manifest,
        Recordings(RATE),
        "ctc",
        lambda train: Ctc(Vocabulary.from_texts(row.text for row in train)),
        {"test": manifest.split("test")},
        "eng",
    )


def trained(folder: Path, encoder: Conformer, rows: tuple[Utterance, ...]) -> None:
    rules = Transfer((Rule(r"encoder\..*"), Rule(r"objective\..*")))
    run_trial(folder, encoder, task(rows), rules, FitSettings(steps=1, evaluations=1))


@pytest.mark.parametrize("learnt", [0, 2])
def test_a_test_recording_is_none_of_training_under_another_name(
    tmp_path: Path, tiny: Callable[..., Conformer], learnt: int
) -> None:
    rows = rows_in(tmp_path)
    trained(tmp_path / "first", tiny(), rows)
    shutil.copy(rows[learnt].audio, rows[3].audio)
    with pytest.raises(ContaminationError, match=rf"3\.wav, a test recording, is the same sound as .*{learnt}\.wav of"):
        trained(tmp_path / "second", tiny(), rows)
    assert not (tmp_path / "second" / "metrics.json").exists()


def test_spans_of_one_recording_may_be_of_several_splits(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    rows = tuple(
        replace(row, audio=tmp_path / "0.wav", start=number / 4, end=(number + 1) / 4)
        for number, row in enumerate(rows_in(tmp_path))
    )
    trained(tmp_path / "run", tiny(), rows)
    assert (tmp_path / "run" / "metrics.json").exists()
