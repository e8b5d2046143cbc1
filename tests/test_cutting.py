"""Cuts and leaks as ``adapt`` sees them: utterances as long in every part, and what crosses named splits is said."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.stats import ks_2samp

from speechtransfer import cli
from speechtransfer.baseline import Scratch
from speechtransfer.encoders.conformer import Conformer
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, Utterance, write_manifest
from speechtransfer.recipe import Recipe, run
from speechtransfer.schedule import FitSettings
from speechtransfer.splits import cross_validation, folds
from speechtransfer.tasks import fold_task, open_corpus

RATE = 16_000


def seconds(row: Utterance) -> float:
    return (row.end or 0.0) - (row.start or 0.0)


def spread(seed: int, takes: int, speakers: int = 1) -> Manifest:
    """Utterances of half a second to half a minute, most of them short, each prompt in up to ``takes`` recordings."""
    draw, rows = random.Random(seed), []
    for prompt in range(240):
        usual = draw.lognormvariate(1.0, 0.8)
        for take in range(draw.randint(1, takes)):
            end, speaker = usual * draw.uniform(0.8, 1.25), f"s{draw.randrange(speakers)}"
            rows.append(Utterance(Path(f"/{prompt}-{take}.wav"), 0.0, end, f"p{prompt}", speaker=speaker))
    return Manifest(tuple(rows))


def distance(part: list[float], whole: list[float]) -> float:
    """How far apart two distributions of seconds are, from 0 to 1 (Kolmogorov and Smirnov)."""
    return float(ks_2samp(part, whole).statistic)


@pytest.mark.parametrize(("takes", "share"), [(1, 0.25), (2, 0.9), (4, 0.9)])
def test_utterances_are_as_long_in_every_part(takes: int, share: float) -> None:
    """Over ten cuts the parts are nearer to the whole than chance deals prompts, where each is said once by far."""
    given = spread(0, takes)
    whole = [seconds(row) for row in given]
    prompts = sorted({row.text or "" for row in given})
    dealt, chance = [], []
    for seed in range(10):
        dealt += [distance([whole[index] for index in part], whole) for part in folds(given, 5, seed, seconds)]
        random.Random(seed).shuffle(prompts)
        parts = [{*prompts[first::5]} for first in range(5)]
        chance += [distance([seconds(row) for row in given if row.text in part], whole) for part in parts]
    assert np.mean(dealt) < share * np.mean(chance)
    assert max(dealt) < max(chance)


@pytest.mark.parametrize("fold", range(5))
def test_train_dev_and_test_are_alike_too(fold: int) -> None:
    given = spread(0, 1)
    cut = cross_validation(given, 5, fold, 0, seconds)
    whole = [seconds(row) for row in given]
    for name, most in (("train", 0.03), ("test", 0.07), ("dev", 0.2)):
        assert distance([seconds(row) for row in cut.split(name)], whole) < most


def corpus(folder: Path, splits: tuple[str | None, ...], texts: int = 24, speakers: int = 24) -> str:
    """Noises; so many texts and speakers, each in turn."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(24):
        path = folder / f"{number}.wav"
        soundfile.write(path, np.random.default_rng(number).uniform(-0.3, 0.3, RATE // 4), RATE)
        said = "".join("abcdef"[int(digit)] for digit in np.base_repr(number % texts, 6))
        split = splits[number % len(splits)]
        rows.append(Utterance(path, text=f"{said} a", speaker=f"s{number % speakers}", language="eng", split=split))
    write_manifest(folder / "all.jsonl", Manifest(tuple(rows)))
    return str(folder / "all.jsonl")


def recipe(data: str, **values: object) -> Recipe:
    training = FitSettings(steps=1, evaluations=1)
    return replace(Recipe("r", (data,), "random:conformer", settings=training, scratch=Scratch(folds=0)), **values)


NAMED = ("train", "dev", "train", "test", "train")


@pytest.mark.parametrize(
    ("shape", "notes"),
    [
        ({}, ()),
        ({"speakers": 7}, ("speaker-dependent",)),
        ({"texts": 7}, ("prompt-dependent",)),
        ({"texts": 7, "speakers": 7}, ("speaker-dependent", "prompt-dependent")),
        ({"texts": 5, "speakers": 5}, ()),  # as many as the splits take turns: none crosses
    ],
)
def test_named_splits_say_what_crosses_them(tmp_path: Path, shape: dict[str, int], notes: tuple[str, ...]) -> None:
    made = recipe(corpus(tmp_path, NAMED, **shape))
    assert fold_task(made, open_corpus(made, RATE), 0).notes == {"test": notes}


def test_a_recording_in_two_splits_is_refused(tmp_path: Path) -> None:
    path = Path(corpus(tmp_path, NAMED))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    halves = [{**rows[0], "start": 0.0, "end": 0.1}, {**rows[0], "split": "test"}]
    path.write_text("\n".join(map(json.dumps, [*rows[1:], *halves])) + "\n")
    with pytest.raises(DataError, match=r"0\.wav.* is in the splits test, train at once"):
        open_corpus(recipe(str(path)), RATE)


def test_a_leaking_speaker_is_refused_where_that_is_asked_for_and_a_prompt_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    for name, shape, status in (("voices", {"speakers": 7}, 1), ("prompts", {"texts": 7}, 0)):
        data = corpus(tmp_path / name, NAMED, **shape)
        asked = ["--require-unseen-speakers", "--steps", "1", "--out", str(tmp_path / f"{name}-run")]
        with pytest.raises(SystemExit) as stopped:
            cli.main(["adapt", data, *asked])
        assert stopped.value.code == status, capsys.readouterr().err
    assert "prompt-dependent" in (tmp_path / "prompts-run" / "metrics.json").read_text()


@pytest.mark.parametrize(("little", "told"), [(7200.0, True), (1.0, False)])
def test_under_two_hours_adapt_says_what_tests_on_all(
    little: float, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    monkeypatch.setattr("speechtransfer.telling._LITTLE", little)
    with pytest.raises(SystemExit):
        cli.main(["adapt", corpus(tmp_path, (None,)), "--steps", "1", "--out", str(tmp_path / "run")])
    assert ("--cross-validate tests on all of it" in capsys.readouterr().out) == told


def test_all_folds_together_test_every_utterance_once(
    tmp_path: Path, tiny: Callable[..., Conformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    data = corpus(tmp_path / "c", (None,))
    outcome = run(recipe(data), tmp_path / "run", tiny())
    assert outcome.metrics["folds"] == 5
    tested = [row.id for row in outcome.scores["test"].rows]
    assert sorted(tested) == sorted(str(tmp_path / "c" / f"{number}.wav") for number in range(24))
