"""Several data learnt from together: what each row becomes, and that nothing is learnt twice or leaks."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import RATE

from speechtransfer import cli
from speechtransfer.audio import write_wav
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.manifest import Manifest, Utterance, read_manifest, write_manifest
from speechtransfer.recipe import Recipe
from speechtransfer.splits import joined, leaks
from speechtransfer.tasks import fold_task, open_corpus

SPLITS = ("train", "train", "dev", "test")


def corpus(folder: Path, texts: list[str], splits: tuple[str | None, ...] = (None,)) -> str:
    folder.mkdir(exist_ok=True)
    rows = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.wav"
        rng = np.random.default_rng(len(texts) * 100 + number)
        write_wav(path, rng.uniform(-0.3, 0.3, RATE).astype(np.float32), RATE)
        rows.append(Utterance(path, text=text, language="eng", split=splits[number % len(splits)]))
    write_manifest(folder / "all.jsonl", Manifest(tuple(rows)))
    return str(folder / "all.jsonl")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(verb: str, *arguments: str | Path) -> tuple[int, str, str]:
        source = ("--source", "random:conformer")
        with pytest.raises(SystemExit) as stopped:
            cli.main([verb, *map(str, arguments), *source])
        told = capsys.readouterr()
        return int(stopped.value.code or 0), " ".join(told.out.split()), " ".join(told.err.split())

    return run


def test_several_data_are_learnt_from_together(
    call: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    one, two = corpus(tmp_path / "a", ["a", "b", "c", "d"]), corpus(tmp_path / "b", ["e", "f", "g"])
    out = tmp_path / "run"
    status, told, _ = call("adapt", one, two, "--out", out, "--steps", "1", "--set", "folds=2")
    assert status == 0 and f"{one}: read as manifest {two}: read as manifest 7 utterances" in told
    assert json.loads((out / "recipe.json").read_text())["data"] == [one, two]
    assert len((out / "splits.jsonl").read_text().splitlines()) == 7
    status, told, _ = call("plan", one, two)
    assert status == 0 and "train: " in told


def test_what_names_no_split_is_for_training_beside_what_does(
    call: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    named = corpus(tmp_path / "named", ["a", "b", "c", "d", "e", "a", "g", "h"], SPLITS)  # a is train's, and dev's
    new = corpus(tmp_path / "new", ["x", "b", "d", "G", "y"])  # d and h are test's, c and g dev's
    recipe = Recipe("r", (named, new), "random:conformer", run_folds=(0,))
    task = fold_task(recipe, open_corpus(recipe, RATE), 0)
    assert task.cut is None
    found = {(row.audio.parent.name, row.text): row.split for row in task.manifest}
    before = {("named", row.text): row.split for row in read_manifest(named)}
    assert found == {**before, ("new", "x"): "train", ("new", "b"): "train", ("new", "y"): "train"}
    out = tmp_path / "run"
    status, told, _ = call("adapt", named, new, "--out", out, "--steps", "1", "--set", "folds=2")
    assert status == 0 and "5 utterances name no split: those near dev or test are in the ledger" in told
    reasons = [json.loads(line)["reason"] for line in (out / "ledger.jsonl").read_text().splitlines()]
    assert reasons == ["its prompt is in test, which stays as it is", "its prompt is in dev, which stays as it is"]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("by_speaker", "by_file"), [(False, True), (True, True), (False, False)])
def test_new_rows_share_nothing_with_dev_or_a_test(seed: int, by_speaker: bool, by_file: bool) -> None:
    draw, rows = random.Random(seed), []
    for _ in range(60):
        start = draw.uniform(0, 50)
        split = draw.choice([None, None, "train", "dev", "test", "other"])
        speaker, group = draw.choice([None, *string.ascii_letters]), draw.choice([None, *map(str, range(20))])
        path, text = Path(f"/{draw.randrange(30)}.wav"), str(draw.randrange(25))
        rows.append(Utterance(path, start, start + 1, text, speaker=speaker, group=group, split=split))
    found = joined(Manifest(tuple(rows)), lambda row: row.text or "", by_speaker, by_file)

    said_in = {row.speaker: {one.split for one in rows if one.speaker == row.speaker and one.split} for row in rows}

    def near(row: Utterance, held: Utterance) -> bool:
        together = row.audio == held.audio and (by_file or abs((row.start or 0) - (held.start or 0)) < 1)
        voice = by_speaker and row.speaker == held.speaker is not None and len(said_in[row.speaker]) == 1
        alike = row.group == held.group is not None or voice
        return row.text == held.text or together or alike

    tested = [row for row in rows if row.split in ("dev", "test", "other")]
    left = {row.id: row.split for row in found}
    for row in rows:
        if row.split is not None:
            assert left[row.id] == row.split
        elif any(near(row, held) for held in tested):
            assert row.id not in left
        elif by_file:  # spans that overlap through others are of one sound too
            assert left[row.id] == "train"
    assert len(found) + len(found.ledger) == len(rows)


def test_the_same_recording_is_not_learnt_twice(call: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    one, two = corpus(tmp_path / "a", ["a", "b", "c", "d"]), corpus(tmp_path / "b", ["e", "f", "g"])
    for data, message in (
        ((one, one), f"{one}: is given twice"),
        ((two, one, two), f"{two}: is given twice"),
        ((), "there is nothing to learn from. Give DATA"),
    ):
        status, _, warned = call("adapt", *data, "--out", tmp_path / "run")
        assert status == 1 and message in warned
    with pytest.raises(SettingsError, match="is given twice"):
        Recipe("r", (one, one))
    again = tmp_path / "again.jsonl"
    rows = [json.loads(line) for line in Path(one).read_text().splitlines()]
    again.write_text("".join(json.dumps({**row, "audio": str(tmp_path / "a" / row["audio"])}) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"0\.wav: is in .*again\.jsonl, and its sound, .*0\.wav, in .*all\.jsonl too"):
        open_corpus(Recipe("r", (one, str(again)), "random:conformer"), RATE)
    partly = corpus(tmp_path / "partly", ["p", "q", "r", "s"], ("train", None, "test", "dev"))
    with pytest.raises(DataError, match=r"partly/all\.jsonl: .*1\.wav names no split, and other rows do"):
        open_corpus(Recipe("r", (one, partly), "random:conformer"), RATE)
    assert not (tmp_path / "run").exists()


def spans(path: Path, audio: Path, *borders: tuple[float | None, float | None]) -> str:
    rows = [
        Utterance(audio, start, end, text=f"said {'abcdefgh'[int(start or 0)]}", language="eng")
        for start, end in borders
    ]
    write_manifest(path, Manifest(tuple(rows)))
    return str(path)


def test_sound_in_two_data_is_refused_however_it_is_cut_or_called(tmp_path: Path) -> None:
    audio, copy = tmp_path / "a.wav", tmp_path / "b.wav"
    write_wav(audio, np.random.default_rng(0).uniform(-0.3, 0.3, 4 * RATE).astype(np.float32), RATE)
    copy.write_bytes(audio.read_bytes())
    one = spans(tmp_path / "one.jsonl", audio, (0.0, 1.0), (1.0, 2.0))
    for borders in ([(None, None)], [(1.5, 3.0)], [(2.5, 3.0), (0.2, 0.4)], [(0.0, 1.0)]):
        other = spans(tmp_path / "two.jsonl", audio, *borders)
        for data in ((one, other), (other, one)):
            with pytest.raises(DataError, match=r"its sound, as .*a\.wav.*, in .* too\. Leave it out of one of them"):
                open_corpus(Recipe("r", data, "random:conformer"), RATE)
    twin = spans(tmp_path / "three.jsonl", copy, (None, None))
    with pytest.raises(DataError, match=r"b\.wav: is in .*three\.jsonl, and the same sound, as .*a\.wav, in .*one\.js"):
        open_corpus(Recipe("r", (one, twin), "random:conformer"), RATE)
    rest = spans(tmp_path / "four.jsonl", audio, (1.95, 3.0), (3.0, None))
    assert len(open_corpus(Recipe("r", (one, rest), "random:conformer"), RATE).manifest) == 4


def told_apart(folder: Path, rows: list[tuple[str | None, str | None, str | None]]) -> str:
    """Rows of a speaker, a group and a split each."""
    data = read_manifest(
        corpus(folder, [f"{folder.name} {string.ascii_letters[number]}" for number in range(len(rows))])
    )
    named = [
        replace(row, speaker=speaker, group=group, split=split)
        for row, (speaker, group, split) in zip(data, rows, strict=True)
    ]
    write_manifest(folder / "all.jsonl", Manifest(tuple(named)))
    return str(folder / "all.jsonl")


def test_new_rows_are_not_by_speakers_of_dev_or_a_test_but_by_those_who_crossed_before(tmp_path: Path) -> None:
    splits = ("train", "dev", "test")
    named = told_apart(
        tmp_path / "named", [*zip("pqr", [None] * 3, splits, strict=True), ("p", None, "test"), ("s", None, "train")]
    )
    new = told_apart(tmp_path / "new", [(speaker, group, None) for group in (None, "scene") for speaker in "pqrsu"])
    recipe = Recipe("r", (named, new), "random:conformer", run_folds=(0,))
    task = fold_task(recipe, open_corpus(recipe, RATE), 0)
    learnt = {(row.speaker, row.group) for row in task.manifest.split("train") if row.audio.parent.name == "new"}
    # p is in train and in the test already; u in neither; the scene is of them all.
    assert learnt == {("p", None), ("s", None), ("u", None), ("p", "scene"), ("s", "scene"), ("u", "scene")}
    anew = replace(recipe, split_by="prompt")
    assert len(fold_task(anew, open_corpus(anew, RATE), 0).manifest.split("train")) == 12


def test_scenes_of_one_of_the_data_leave_the_speakers_of_another_apart(tmp_path: Path) -> None:
    voices = told_apart(tmp_path / "voices", [(speaker, None, None) for speaker in "pqrstuvw" for _ in range(3)])
    scenes = told_apart(tmp_path / "scenes", [("xyz"[number % 3], str(number // 2), None) for number in range(12)])
    recipe = Recipe("r", (voices, scenes), "random:conformer", folds=3, run_folds=(0, 1, 2))
    for fold in range(3):
        rows = fold_task(recipe, open_corpus(recipe, RATE), fold).manifest
        alone = Manifest(tuple(row for row in rows if row.group is None))
        assert set(rows.splits) == {"train", "dev", "test"}
        assert not leaks(alone, lambda row: row.speaker) and not leaks(rows, lambda row: row.group)


def test_a_recipe_s_audio_may_lie_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    data = Path(corpus(tmp_path / "sound", ["a", "b", "c", "d"]))
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    manifest = tmp_path / "lists" / "all.jsonl"
    manifest.parent.mkdir()
    lines = (json.dumps({**row, "audio": str(data.parent / row["audio"])}) + "\n" for row in rows)
    manifest.write_text("".join(lines))
    recipe = tmp_path / "mine" / "recipe.py"
    recipe.parent.mkdir()
    recipe.write_text(
        "from speechtransfer.recipe import Recipe\n"
        "from speechtransfer.schedule import FitSettings\n"
        f"RECIPE = Recipe('mine', ({str(manifest)!r},), 'random:conformer', run_folds=(0,), folds=2,\n"
        "                settings=FitSettings(steps=1, evaluations=1))\n"
    )
    for roots, status in (((), 1), (("--audio-root", str(data.parent)), 0)):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["run", str(recipe.parent), "--out", str(tmp_path / "runs"), "--set", "scratch.folds=0", *roots])
        assert (stopped.value.code or 0) == status
        told = capsys.readouterr()
    assert "not recorded" in told.out and "mine" not in told.err
