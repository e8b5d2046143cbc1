"""A corpus that grows: the test of an earlier run stays what it was, and nothing new leaks into it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer import cli
from speechtransfer.baseline import Scratch
from speechtransfer.checkpoint import load
from speechtransfer.encoders.conformer import Conformer
from speechtransfer.errors import DataError
from speechtransfer.keeping import NAME, keep_splits, write_splits
from speechtransfer.manifest import Manifest, Utterance, write_manifest
from speechtransfer.recipe import Recipe, run
from speechtransfer.record import as_known, config_hash
from speechtransfer.schedule import FitSettings
from speechtransfer.splits import cross_validation, grown, kept_together, leaks
from speechtransfer.tasks import fold_task, open_corpus

RATE = 16_000


def corpus(folder: Path, numbers: range, speakers: int = 1, prompts: int = 100) -> str:
    """Noises, a number each; what one number says and sounds like is always the same."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number in numbers:
        path = folder / f"{number}.wav"
        wave = np.random.default_rng(number).uniform(-0.3, 0.3, RATE // 4 + 100 * (number % 7))
        soundfile.write(path, wave, RATE)
        said = "".join("abcdef"[int(digit)] for digit in np.base_repr(number % prompts, 6))
        rows.append(Utterance(path, text=f"{said} a", speaker=f"s{number % speakers}", language="eng"))
    write_manifest(folder / "all.jsonl", Manifest(tuple(rows)))
    return str(folder / "all.jsonl")


def recipe(data: str, **values: object) -> Recipe:
    training = FitSettings(steps=1, evaluations=1)
    plain = Recipe("r", (data,), "random:conformer", settings=training, run_folds=(0,), scratch=Scratch(folds=0))
    return replace(plain, **values)


def cut(made: Recipe) -> Manifest:
    task = fold_task(made, open_corpus(made, RATE), 0)
    assert task.cut is not None
    return task.cut


def named(manifest: Manifest, split: str) -> set[str]:
    return {row.audio.name for row in manifest.split(split)}


def earlier(tmp_path: Path, **shape: int) -> tuple[Manifest, Path]:
    """The cut of a first corpus, written down as a run does."""
    first = cut(recipe(corpus(tmp_path / "first", range(30), **shape)))
    (tmp_path / "run").mkdir()
    write_splits(tmp_path / "run", first)
    return first, tmp_path / "run"


def test_a_run_writes_its_splits_and_a_larger_corpus_keeps_its_test(
    tmp_path: Path, tiny: Callable[..., Conformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    made = recipe(corpus(tmp_path / "first", range(30)))
    run(made, tmp_path / "run", tiny())
    before = cut(made)
    larger = recipe(corpus(tmp_path / "moved", range(60)))
    assert named(cut(larger), "test") != named(before, "test"), "by itself the cut of more data is another one"
    after = cut(replace(larger, keep_splits=str(tmp_path / "run")))
    for split in ("dev", "test"):
        assert named(after, split) == named(before, split)
    assert named(after, "train") == named(before, "train") | {f"{number}.wav" for number in range(30, 60)}
    assert not after.ledger
    outcome = run(replace(larger, keep_splits=str(tmp_path / "run")), tmp_path / "again", tiny())
    told = json.loads((tmp_path / "again" / "recipe.json").read_text())
    assert told["keep_splits"] == str(tmp_path / "run")
    assert outcome.scores["test"]["cer"].count == sum(len(row.text or "") for row in before.split("test"))
    assert (tmp_path / "again" / NAME).is_file(), "the next run may keep them again"


def test_text_that_comes_later_needs_no_training(
    tmp_path: Path, tiny: Callable[..., Conformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    made, before = recipe(corpus(tmp_path / "speech", range(30)), language_model=3), tmp_path / "run"
    run(made, before, tiny())
    (tmp_path / "story.txt").write_text("fade a cab\nbead a cafe\n", encoding="utf-8")
    later = replace(
        made,
        source=str(before),
        keep_splits=str(before),
        texts=(str(tmp_path / "story.txt"),),
        settings=replace(made.settings, steps=0),
    )
    run(later, tmp_path / "later")
    ours, theirs = load(tmp_path / "later"), load(before)
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())
    told = [json.loads((folder / "metrics.json").read_text()) for folder in (before, tmp_path / "later")]
    assert told[0]["manifest"] == told[1]["manifest"]
    assert "wider" not in told[0]["language_model"]
    assert told[1]["language_model"]["wider"]["characters"] == len("fade a cab" + "bead a cafe")


def test_a_finished_run_keeps_what_it_wrote_and_one_begun_refuses_other_data(
    tmp_path: Path, tiny: Callable[..., Conformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    run(recipe(corpus(tmp_path / "speech", range(30))), tmp_path / "run", tiny())
    written = (tmp_path / "run" / NAME).read_bytes()
    larger = recipe(corpus(tmp_path / "speech", range(60)))
    run(larger, tmp_path / "run", tiny(), resume=True)
    assert (tmp_path / "run" / NAME).read_bytes() == written
    (tmp_path / "run" / "metrics.json").unlink()
    with pytest.raises(DataError, match="began on other recordings or another cut"):
        run(larger, tmp_path / "run", tiny(), resume=True)


def test_where_all_that_is_new_is_near_the_test_the_cut_is_what_to_look_at(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", np.random.default_rng(0).uniform(-0.3, 0.3, 10 * RATE), RATE)
    spans = [Utterance(tmp_path / "one.wav", n / 2, (n + 1) / 2, text="a" * (n + 1)) for n in range(20)]
    write_manifest(tmp_path / "all.jsonl", Manifest(tuple(spans)))
    made = recipe(str(tmp_path / "all.jsonl"), split_by="span")
    (tmp_path / "run").mkdir()
    write_splits(tmp_path / "run", cut(made))
    again = replace(made, keep_splits=str(tmp_path / "run"))
    assert {row.id for row in cut(again).split("test")} == {row.id for row in cut(made).split("test")}
    with pytest.raises(DataError, match=r"no row is left for .*train.*Give the split_by"):
        cut(replace(again, split_by="auto"))


def test_what_is_new_and_near_the_test_is_in_the_ledger(tmp_path: Path) -> None:
    before, folder = earlier(tmp_path)
    prompts = {row.text: row.split for row in before}
    after = cut(recipe(corpus(tmp_path / "more", range(60), prompts=30), keep_splits=str(folder)))
    new = {f"{number}.wav" for number in range(30, 60)}
    near = {f"{30 + int(name.split('.')[0])}.wav" for name in named(before, "dev") | named(before, "test")}
    assert named(after, "test") == named(before, "test")
    assert named(after, "train") == named(before, "train") | (new - near)
    assert {Path(row.audio).name for row in after.ledger} == near
    assert {row.reason for row in after.ledger} <= {
        f"its prompt is in {kind}, which is kept as it was" for kind in prompts.values()
    }
    assert not leaks(after, lambda row: row.text)


def test_speakers_of_the_test_bring_nothing_to_training(tmp_path: Path) -> None:
    before, folder = earlier(tmp_path, speakers=5)
    after = cut(recipe(corpus(tmp_path / "more", range(60), speakers=5), keep_splits=str(folder)))
    assert not leaks(after, lambda row: row.speaker)
    assert named(after, "test") == named(before, "test")
    assert len(after) + len(after.ledger) == 60


def test_a_second_speaker_does_not_part_a_first_who_was_in_every_split(tmp_path: Path) -> None:
    before, folder = earlier(tmp_path)
    data = Path(corpus(tmp_path / "more", range(40)))
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    named_anew = [
        json.dumps({**row, "speaker": "another" if number >= 35 else "s0"}) for number, row in enumerate(rows)
    ]
    data.write_text("\n".join(named_anew) + "\n")
    after = cut(recipe(str(data), keep_splits=str(folder)))
    assert named(after, "test") == named(before, "test") and not after.ledger


@given(seed=st.integers(0, 10_000), by_speaker=st.booleans(), by_file=st.booleans())
@settings(deadline=None, max_examples=60)
def test_nothing_shared_crosses_and_every_row_is_somewhere(seed: int, by_speaker: bool, by_file: bool) -> None:
    draw = random.Random(seed)

    def row(number: int) -> Utterance:
        start = draw.uniform(0, 9)
        texts, voices, scenes = (f"{kind}{draw.randrange(most)}" for kind, most in (("t", 25), ("s", 9), ("g", 40)))
        return Utterance(Path(f"/{number // 2}.wav"), start, start + 1, texts, speaker=voices, group=scenes)

    rows = Manifest(tuple(row(number) for number in range(60)))
    old = Manifest(rows.rows[:30])
    groups = kept_together(old, lambda row: row.text or "", by_speaker, by_file)
    if len(groups) < 5:
        return
    first = cross_validation(old, 2, 0, 0, lambda row: 1.0, lambda row: row.text or "", by_speaker, by_file=by_file)
    kept = {row.id: row.split or "" for row in first}
    after = grown(rows, kept, lambda row: row.text or "", by_speaker, by_file)
    assert len(after) + len(after.ledger) == 60
    assert {row.id for row in after.split("test")} == {row.id for row in first.split("test")}
    held = [row for row in after if row.split != "train"]
    for one in held:
        for two in after:
            if one.split != two.split:
                assert one.text != two.text and one.group != two.group
                assert not by_speaker or one.speaker != two.speaker
                apart = one.audio != two.audio or abs((one.start or 0) - (two.start or 0)) >= 1
                assert (one.audio != two.audio) if by_file else apart
    lost = {row.audio for row in after.ledger} - {row.id for row in rows}
    assert not lost


def test_a_test_recording_that_is_gone_is_refused(tmp_path: Path) -> None:
    before, folder = earlier(tmp_path)
    data = Path(corpus(tmp_path / "less", range(40)))
    gone = sorted(named(before, "test"))[0]
    kept = [line for line in data.read_text().splitlines() if f'"{gone}"' not in line]
    data.write_text("\n".join(kept) + "\n")
    with pytest.raises(DataError, match=rf"1 of its test recordings are not in the data as they were \({gone}\)"):
        cut(recipe(str(data), keep_splits=str(folder)))


def test_a_train_recording_that_is_gone_is_no_ones_loss(tmp_path: Path) -> None:
    before, folder = earlier(tmp_path)
    data = Path(corpus(tmp_path / "less", range(30)))
    gone = sorted(named(before, "train"))[0]
    kept = [line for line in data.read_text().splitlines() if f'"{gone}"' not in line]
    data.write_text("\n".join(kept) + "\n")
    assert named(cut(recipe(str(data), keep_splits=str(folder))), "train") == named(before, "train") - {gone}


def test_a_folder_without_splits_names_those_that_have_some(tmp_path: Path) -> None:
    before, folder = earlier(tmp_path)
    manifest = Manifest(tuple(replace(row, split=None) for row in before))
    (tmp_path / "runs" / "all").mkdir(parents=True)
    shutil.copy(folder / NAME, tmp_path / "runs" / "all")
    for place, message in (("runs", r"Name one of the runs in it: .*runs/all"), ("first", "Name the folder of a run")):
        with pytest.raises(DataError, match=message):
            keep_splits(manifest, tmp_path / place, lambda row: row.text or "", False, True)


@pytest.mark.parametrize(
    "line", ['{"audio": "a"}', '{"audio": "a", "content": "x", "start": null, "end": null, "split": "exam"}', "[]"]
)
def test_damage_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    before, folder = earlier(tmp_path)
    (folder / NAME).write_text((folder / NAME).read_text() + line + "\n")
    manifest = Manifest(tuple(replace(row, split=None) for row in before))
    with pytest.raises(DataError, match=f"{NAME}:31: "):
        keep_splits(manifest, folder, lambda row: row.text or "", False, True)


def test_data_that_name_their_splits_keep_them_already(tmp_path: Path) -> None:
    before, folder = earlier(tmp_path)
    write_manifest(tmp_path / "first" / "named.jsonl", before)
    with pytest.raises(DataError, match="leave --keep-splits out"):
        cut(recipe(str(tmp_path / "first" / "named.jsonl"), keep_splits=str(folder)))


def test_one_test_cannot_be_five(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "o"), "--keep-splits", str(tmp_path), "--cross-validate"]
    with pytest.raises(SystemExit) as stopped:
        cli.main(["adapt", corpus(tmp_path / "c", range(6)), *out])
    assert stopped.value.code == 1 and "give one of them" in capsys.readouterr().err


def test_no_recorded_configuration_changed() -> None:
    usual = Recipe("", ()).config()
    then = {name: value for name, value in usual.items() if name != "keep_splits"}
    assert config_hash(as_known(usual, then, usual)) == config_hash(then)
