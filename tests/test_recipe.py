"""Recipes as values and as runs: splits that share nothing, folds with baselines, resuming, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from speechtransfer.baseline import Scratch
from speechtransfer.checkpoint import load, save
from speechtransfer.defaults import defaults
from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.encoders.contract import SourceCard
from speechtransfer.errors import ContaminationError, DataError, PlanError, SettingsError, SourceError
from speechtransfer.features import MelSettings
from speechtransfer.manifest import Manifest, Utterance, write_manifest
from speechtransfer.objectives import Ctc
from speechtransfer.recipe import Recipe, run
from speechtransfer.schedule import FitSettings
from speechtransfer.sources import load_encoder
from speechtransfer.tasks import fold_task, open_corpus
from speechtransfer.transfer import Transfer
from speechtransfer.trial import run_trial
from speechtransfer.vocabulary import Vocabulary

RATE = 16_000


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these trainings."""
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)


def corpus(folder: Path, speakers: int = 1, splits: bool = False, prompts: int = 12) -> str:
    """Twenty-four noises; each prompt is said twice."""
    folder.mkdir(exist_ok=True)
    draw = np.random.default_rng(0)
    rows = []
    for number in range(24):
        path = folder / f"{number}.wav"
        soundfile.write(path, draw.uniform(-0.3, 0.3, RATE // 2 + 400 * number), RATE)
        split = ("train", "train", "dev", "test")[number % 4] if splits else None
        text = "".join("abcdef"[int(digit)] for digit in np.base_repr(number % prompts, 6)) + " a"
        rows.append(Utterance(path, text=text, speaker=f"s{number % speakers}", language="eng", split=split))
    write_manifest(folder / "all.jsonl", Manifest(tuple(rows)))
    return str(folder / "all.jsonl")


def recipe(data: str, **values: object) -> Recipe:
    settings = FitSettings(steps=2, evaluations=1)
    plain = Recipe("r", (data,), "random:conformer", settings=settings, folds=2, scratch=Scratch(folds=0))
    return replace(plain, **values)


def test_scenes_stay_together_where_rows_name_them_whoever_speaks(tmp_path: Path) -> None:
    data = Path(corpus(tmp_path, speakers=2))
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    named = [json.dumps({**row, "group": f"scene {number % 8}"}) for number, row in enumerate(rows)]
    data.write_text("\n".join(named) + "\n")
    made = recipe(str(data))
    opened = open_corpus(made, RATE)
    assert not opened.by_speaker
    manifest = fold_task(made, opened, 0).manifest
    scenes = [{row.group for row in manifest.split(name)} for name in ("train", "dev", "test")]
    assert all(scenes)
    assert not scenes[0] & scenes[1] | scenes[0] & scenes[2] | scenes[1] & scenes[2]


def test_how_much_is_trained() -> None:
    base = Recipe("r", ("x",), folds=5, scratch=Scratch(rates=(1.0, 2.0, 3.0), search=0.5, factor=2.0, folds=2))
    assert base.trainings() == 5 + 3 * 0.5 + 2 * 2.0
    assert replace(base, run_folds=(0,)).trainings() == 1 + 1.5 + 2.0
    assert replace(base, scratch=Scratch(folds=0)).trainings() == 5
    assert replace(base, scratch=Scratch(rates=(1.0,), factor=3.0, folds=1)).trainings() == 8


def test_a_config_is_plain_json_and_tells_recipes_apart() -> None:
    one, two = recipe("x"), recipe("x", train_minutes=4.0)
    assert json.loads(json.dumps(one.config())) == one.config()
    assert one.config() != two.config()


def test_prompts_never_cross_and_every_row_is_tested_once(tmp_path: Path) -> None:
    made = recipe(corpus(tmp_path / "c"))
    opened = open_corpus(made, RATE)
    assert fold_task(made, opened, 0).notes == {"test": ("speaker-dependent",)}
    tested: list[str] = []
    for fold in range(2):
        manifest = fold_task(made, opened, fold).manifest
        texts = {name: {row.text for row in manifest.split(name)} for name in ("train", "dev", "test")}
        assert not texts["train"] & texts["test"]
        assert not texts["dev"] & texts["test"]
        assert not texts["train"] & texts["dev"]
        tested += [row.id for row in manifest.split("test")]
    assert sorted(tested) == sorted(row.id for row in opened.manifest)


def test_speakers_never_cross_where_two_are_known(tmp_path: Path) -> None:
    made = recipe(corpus(tmp_path / "c", speakers=8, prompts=24))
    opened = open_corpus(made, RATE)
    task = fold_task(made, opened, 0)
    assert task.notes == {"test": ()}
    manifest = task.manifest
    assert not manifest.split("train").speakers & manifest.split("test").speakers
    by_prompt = replace(made, split_by="prompt")
    assert fold_task(by_prompt, open_corpus(by_prompt, RATE), 0).notes == {"test": ("speaker-dependent",)}


def test_splits_that_share_a_speaker_say_so(tmp_path: Path) -> None:
    made = recipe(corpus(tmp_path / "c", speakers=2, splits=True))
    assert fold_task(made, open_corpus(made, RATE), 0).notes == {"test": ("speaker-dependent",)}


def test_a_second_voice_is_not_speaker_dependent_and_its_ledger_is_kept(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    soundfile.write(other / "a.wav", np.random.default_rng(9).uniform(-0.3, 0.3, RATE), RATE)
    soundfile.write(other / "b.wav", np.random.default_rng(8).uniform(-0.3, 0.3, RATE), RATE)
    (other / "metadata.csv").write_text("file_name,text,speaker\na.wav,abc,someone else\nb.wav,,someone else\n")
    made = recipe(corpus(tmp_path / "c"), tests={"other": str(other)})
    task = fold_task(made, open_corpus(made, RATE), 0)
    assert task.notes == {"test": ("speaker-dependent",), "other": ()}
    assert [Path(row.audio).name for row in task.manifest.ledger] == ["b.wav"]


@pytest.mark.parametrize("speakers", [3, 4])
def test_one_fold_of_few_speakers_is_cut_from_what_there_is(speakers: int, tmp_path: Path) -> None:
    made = recipe(corpus(tmp_path / "c", speakers=speakers, prompts=24), folds=5, run_folds=(0,))
    manifest = fold_task(made, open_corpus(made, RATE), 0).manifest
    assert all(len(manifest.split(name)) for name in ("train", "dev", "test"))
    assert not manifest.split("train").speakers & manifest.split("test").speakers


def test_one_recording_is_cut_between_its_utterances_where_that_is_asked_for(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "talk.wav", np.random.default_rng(0).uniform(-0.3, 0.3, 21 * RATE), RATE)
    lines = [f"talk.wav,{place},{place + 1},word {'abcdefghijklmnopqrst'[place]}" for place in range(20)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,start,end,text", *lines]))
    made = recipe(str(tmp_path))
    with pytest.raises(DataError, match=r"20 utterances are of only 1 recordings or prompts.*split_by=span"):
        fold_task(made, open_corpus(made, RATE), 0)
    asked = replace(made, split_by="span")
    task = fold_task(asked, open_corpus(asked, RATE), 0)
    assert task.notes == {"test": ("speaker-dependent", "recording-dependent")}
    sizes = [len(task.manifest.split(name)) for name in ("train", "dev", "test")]
    assert sum(sizes) == 20 and min(sizes) > 0


def test_two_speakers_cannot_be_three_splits(tmp_path: Path) -> None:
    made = recipe(corpus(tmp_path / "c", speakers=2, prompts=24), folds=5, run_folds=(0,))
    with pytest.raises(DataError, match="split_by=prompt"):
        fold_task(made, open_corpus(made, RATE), 0)


@pytest.mark.parametrize("minutes", [0.0, -1.0, 100.0, float("nan")])
def test_more_minutes_than_there_are_is_refused(minutes: float, tmp_path: Path) -> None:
    made = recipe(corpus(tmp_path / "c"), train_minutes=minutes)
    with pytest.raises(DataError, match="minutes are wanted"):
        fold_task(made, open_corpus(made, RATE), 0)


def test_a_budget_in_minutes_becomes_steps_that_everything_follows(
    tmp_path: Path, tiny: Callable[..., Conformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    timings = iter([(0.5, 0.0)] + [(99.0, 0.0)] * 9)
    monkeypatch.setattr(import_module("speechtransfer.fit")._Run, "timed", lambda run: next(timings))
    budget = FitSettings(minutes=2.0 / 60, evaluations=1)
    made = recipe(corpus(tmp_path / "c"), settings=budget, scratch=Scratch(rates=(1e-3,), factor=2.0, folds=1))
    outcome = run(made, tmp_path / "run", tiny())
    assert outcome.metrics["steps"] == 4
    assert json.loads((tmp_path / "run" / "folds" / "1" / "metrics.json").read_text())["steps"] == 4
    assert outcome.metrics["baselines"]["scratch"]["steps"] == 8
    resolved = json.loads((tmp_path / "run" / "recipe.json").read_text())["settings"]
    assert (resolved["steps"], resolved["minutes"]) == (4, None)
    assert run(made, tmp_path / "run", tiny(), resume=True).metrics == outcome.metrics


def test_each_fold_has_its_own_training_seed(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    made, seeds = recipe(corpus(tmp_path / "c")), []
    with pytest.MonkeyPatch.context() as patch:
        real = run_trial
        patch.setattr("speechtransfer.recipe.run_trial", lambda *a: seeds.append(a[4].seed) or real(*a))
        run(made, tmp_path / "run", tiny())
    assert seeds == [made.settings.seed, made.settings.seed + 1]


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    made, out = recipe(corpus(tmp_path / "c")), tmp_path / "mine"
    out.mkdir()
    (out / "README.md").write_text("my notes")
    with pytest.raises(SettingsError, match="no run either"):
        run(made, out, tiny(), resume=True)
    assert [path.name for path in out.iterdir()] == ["README.md"]
    assert (out / "README.md").read_text() == "my notes"


def test_a_run_is_not_resumed_with_other_settings(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    made = recipe(corpus(tmp_path / "c"), run_folds=(0,))
    run(made, tmp_path / "run", tiny())
    other = replace(made, settings=replace(made.settings, lr=0.5))
    before = (tmp_path / "run" / "recipe.json").read_bytes()
    with pytest.raises(SettingsError, match=r"settings\.lr"):
        run(other, tmp_path / "run", tiny(), resume=True)
    assert (tmp_path / "run" / "recipe.json").read_bytes() == before


def test_a_transfer_that_fits_no_source_leaves_no_run_in_the_way_of_a_mended_one(
    tmp_path: Path, tiny: Callable[..., Conformer]
) -> None:
    made = recipe(corpus(tmp_path / "c"), run_folds=(0,))
    with pytest.raises(PlanError, match="layer9"):
        run(replace(made, transfer=Transfer(cut="layer9")), tmp_path / "run", tiny())
    assert not (tmp_path / "run").exists()
    run(made, tmp_path / "run", tiny())


def test_a_run_of_an_earlier_version_is_resumed_where_a_new_field_has_its_default(
    tmp_path: Path, tiny: Callable[..., Conformer]
) -> None:
    made = recipe(corpus(tmp_path / "c"), run_folds=(0,))
    done = run(made, tmp_path / "run", tiny())
    begun = tmp_path / "run" / "recipe.json"
    values = json.loads(begun.read_text())
    del values["language_model"], values["settings"]["tensorboard"]
    begun.write_text(json.dumps(values))
    with pytest.raises(SettingsError, match="another language_model"):
        run(replace(made, language_model=3), tmp_path / "run", tiny(), resume=True)
    assert run(made, tmp_path / "run", tiny(), resume=True).metrics["test"] == done.metrics["test"]


def test_an_amount_takes_from_train_alone(tmp_path: Path) -> None:
    made = recipe(corpus(tmp_path / "c"))
    opened = open_corpus(made, RATE)
    whole, part = (fold_task(replace(made, train_minutes=m), opened, 0).manifest for m in (None, 0.05))
    assert part.split("test").rows == whole.split("test").rows
    assert part.split("dev").rows == whole.split("dev").rows
    assert set(part.split("train").rows) < set(whole.split("train").rows)
    seconds = sum(map(opened.recordings.seconds, part.split("train")))
    assert 3.0 <= seconds < 4.0


def test_own_splits_are_kept_and_half_a_split_is_refused(tmp_path: Path) -> None:
    data = corpus(tmp_path / "c", splits=True)
    made = recipe(data)
    opened = open_corpus(made, RATE)
    assert fold_task(made, opened, 0).manifest.rows == opened.manifest.rows
    lines = Path(data).read_text().splitlines()
    half = [json.loads(line) for line in lines]
    half[0].pop("split")
    Path(data).write_text("\n".join(map(json.dumps, half)) + "\n")
    with pytest.raises(DataError, match="on every row, or on none"):
        fold_task(made, open_corpus(made, RATE), 0)


def test_folds_baselines_and_resuming(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    made = recipe(corpus(tmp_path / "c"), scratch=Scratch(rates=(1e-3, 2e-3), search=0.5, factor=2.0, folds=1))
    out, reached = tmp_path / "run", []
    outcome = run(made, out, tiny(), reached=reached.append)
    assert [one.metrics["verdict"] for one in reached] == [None]
    assert outcome.metrics["folds"] == 2
    assert len(outcome.scores["test"].rows) == 24
    searched = json.loads((out / "baselines" / "scratch_rate.json").read_text())
    assert set(searched["dev"]) == {"0.001", "0.002"}
    assert searched["dev"][f"{searched['rate']:g}"] == min(searched["dev"].values())
    scratch = json.loads((out / "baselines" / "scratch" / "folds" / "0" / "metrics.json").read_text())
    assert scratch["steps"] == 4
    assert not (out / "baselines" / "scratch" / "folds" / "1").exists()
    plan = json.loads((out / "baselines" / "scratch" / "folds" / "0" / "plan.json").read_text())
    assert {row["origin"] for row in plan["parameters"]} == {"fresh"}
    assert {row["scale"] for row in plan["parameters"]} == {1.0}

    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.safetensors")}
    again = run(made, out, tiny(), resume=True)
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.safetensors")}
    assert again.metrics == outcome.metrics
    unasked = run(replace(made, scratch=Scratch(folds=0)), out, tiny(), resume=True)
    assert unasked.metrics["verdict"] == outcome.metrics["verdict"]
    with pytest.raises(SettingsError, match="--resume"):
        run(made, out, tiny())


def test_a_run_is_a_source_that_knows_what_it_heard(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    made = recipe(corpus(tmp_path / "c"), run_folds=(0,))
    run(made, tmp_path / "run", tiny())
    heard = load(tmp_path / "run").encoder
    assert heard.card.languages == ("eng",)
    with pytest.raises(ContaminationError, match="worthless"):
        run(replace(made, run_folds=(1,)), tmp_path / "second", heard)


def test_of_a_run_of_folds_each_fold_goes_on_from_its_own_model(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    made, before, out = recipe(corpus(tmp_path / "c")), tmp_path / "first", tmp_path / "second"
    run(made, before, tiny())
    untrained = replace(made.settings, steps=0, epochs=None)
    run(replace(made, source=str(before), settings=untrained), out)
    for fold in ("0", "1"):
        own, other = (load(before / "folds" / name).encoder.state_dict() for name in (fold, "10"[int(fold)]))
        kept = load(out / "folds" / fold).encoder.state_dict()
        assert all(torch.equal(kept[name], own[name]) for name in own)
        assert any(not torch.equal(kept[name], other[name]) for name in own)
    swapped = tmp_path / "swapped"
    for fold in ("0", "1"):
        shutil.copytree(before / "folds" / fold, swapped / "folds" / "10"[int(fold)])
    with pytest.raises(ContaminationError, match="worthless"):
        run(replace(made, source=str(swapped)), tmp_path / "third")
    with pytest.raises(SourceError, match="first: has no model of fold 2, but of 0, 1"):
        run(replace(made, source=str(before), folds=3), tmp_path / "fourth")
    with pytest.raises(SourceError, match=r"first: holds a model for each fold\. Name one of them: .*first/folds/0"):
        load_encoder(before)


def test_a_rate_that_diverges_is_left_out_of_the_search(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    made = recipe(corpus(tmp_path / "c"), run_folds=(0,), scratch=Scratch(rates=(1e-3, 1e30), search=2.0, folds=1))
    run(made, tmp_path / "run", tiny())
    searched = json.loads((tmp_path / "run" / "baselines" / "scratch_rate.json").read_text())
    assert (searched["rate"], set(searched["dev"])) == (1e-3, {"0.001"})
    lost = replace(made, scratch=Scratch(rates=(1e29, 1e30), search=2.0, folds=1))
    with pytest.raises(SettingsError, match="diverged at every rate"):
        run(lost, tmp_path / "lost", tiny())


@pytest.mark.parametrize("wrong", [{"rates": ()}, {"rates": (0.0,)}, {"factor": 0.0}, {"search": -1.0}, {"folds": -1}])
def test_a_baseline_that_cannot_be_fair_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="scratch: rates"):
        Scratch(**wrong)


def test_a_network_from_scratch_has_heard_nothing_of_the_source(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    source = tiny()
    source.card = SourceCard("source", "a licence", ("swh",), None, frozenset({"0123456789abcdef"}))
    made = recipe(corpus(tmp_path / "c"), run_folds=(0,), scratch=Scratch(rates=(1e-3,), factor=1.0, folds=1))
    run(made, tmp_path / "run", source)
    transferred, scratch = (load(tmp_path / "run" / part).encoder.card for part in ("", "baselines/scratch"))
    assert (transferred.languages, scratch.languages) == (("eng", "swh"), ("eng",))
    assert "0123456789abcdef" in transferred.audio
    assert "0123456789abcdef" not in scratch.audio
    assert scratch.audio


def test_the_network_from_scratch_may_be_another(
    tmp_path: Path, tiny: Callable[..., Conformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, with every weight fresh, in files and figures under its own name; the transfer is cut."""
    model, _ = Transfer().apply(tiny(width=8, layers=1), Ctc(Vocabulary(("a",))))
    save(model, tmp_path / "small")
    scratch = Scratch(rates=(1e-3, 2e-3), factor=1.0, folds=1, network=str(tmp_path / "small"))
    made = recipe(corpus(tmp_path / "c"), scratch=scratch, transfer=Transfer(cut="layer0"))
    outcome = run(made, tmp_path / "run", tiny())
    name = scratch.name
    assert set(outcome.metrics["baselines"]) == {name}
    assert f"from {name}" in outcome.metrics["verdict"]["text"]
    encoder = load(tmp_path / "run" / "baselines" / name / "folds" / "0").encoder
    assert (encoder.width, encoder.blocks) == (8, ("frontend", "layer0"))
    assert (tmp_path / "run" / "search" / name / "0.002").is_dir()
    # What a run without this network left is not taken for it, nor the other way round.
    own = run(replace(made, scratch=replace(scratch, network=None)), tmp_path / "run", tiny(), resume=True)
    assert set(own.metrics["baselines"]) == {"scratch"}
    assert load(tmp_path / "run" / "baselines" / "scratch" / "folds" / "0").encoder.width != 8


def test_a_network_that_hears_another_rate_is_refused_before_training(
    tmp_path: Path, tiny: Callable[..., Conformer]
) -> None:
    low = Conformer(ConformerSettings(MelSettings(sample_rate=8000, n_mels=20), width=8, layers=1, heads=2))
    model, _ = Transfer().apply(low, Ctc(Vocabulary(("a",))))
    save(model, tmp_path / "low")
    made = recipe(corpus(tmp_path / "c"), scratch=Scratch(folds=1, network=str(tmp_path / "low")))
    with pytest.raises(SettingsError, match="hears 8000 Hz, the source 16000 Hz"):
        run(made, tmp_path / "run", tiny())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("network", ["random:vision", "logmel:80"])
def test_a_network_that_cannot_learn_the_task_is_refused_before_training(
    tmp_path: Path, tiny: Callable[..., Conformer], network: str
) -> None:
    """Its frames are too far apart for a text, or it has no weights at all."""
    made = recipe(corpus(tmp_path / "c"), scratch=Scratch(folds=1, network=network))
    with pytest.raises(PlanError):
        run(made, tmp_path / "run", tiny())
    assert not (tmp_path / "run").exists()


def test_baselines_of_different_networks_have_different_names() -> None:
    names = [Scratch(network=one).name for one in (None, "random:conformer", "runs/a/default", "runs/b/default")]
    assert names == ["scratch", "scratch-conformer", "scratch-runs-a-default", "scratch-runs-b-default"]
    assert Scratch(network="random:conformer,layers=8").name == "scratch-conformer,layers=8"
    with pytest.raises(SettingsError, match="names none"):
        Scratch(network="")


def test_the_family_must_be_the_recipes(tmp_path: Path, tiny: Callable[..., Conformer]) -> None:
    made = recipe(corpus(tmp_path / "c"), family="whisper")
    with pytest.raises(SettingsError, match="conformer"):
        run(made, tmp_path / "run", tiny())


@pytest.mark.parametrize("family", ["conformer", "whisper"])
def test_defaults_are_of_the_family(family: str) -> None:
    made = defaults("data", "source", family, "swh")
    assert (made.family, made.language, made.data) == (family, "swh", ("data",))
