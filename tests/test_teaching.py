"""Recipes with a teacher, and with an output layer for each language: trained, saved, used as sources."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from speechtransfer.baseline import Scratch
from speechtransfer.checkpoint import load, read_json
from speechtransfer.corpora import load as load_corpus
from speechtransfer.encoders.conformer import Conformer
from speechtransfer.errors import ContaminationError, DataError, SettingsError
from speechtransfer.evaluate import predict
from speechtransfer.manifest import Manifest, Utterance, write_manifest
from speechtransfer.objectives import Ctc, Distil, Sum
from speechtransfer.recipe import Distillation, Recipe, run
from speechtransfer.schedule import FitSettings
from speechtransfer.sources import load_encoder
from speechtransfer.tasks import fold_task, open_corpus

SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"
RATE = 16_000


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> str:
    """The synthetic speech as if every second utterance were of another language, which has a letter more."""
    shutil.copytree(SYNTHETIC, tmp_path / "speech")
    marked = tuple(
        replace(row, language=("eng", "xho")[place % 2], text=f"{row.text}{'ñ' * (place % 2)}", split=None)
        for place, row in enumerate(load_corpus(str(tmp_path / "speech")))
    )
    write_manifest(tmp_path / "all.jsonl", Manifest(marked))
    return str(tmp_path / "all.jsonl")


def recipe(data: str, **values: object) -> Recipe:
    settings = FitSettings(steps=2, evaluations=1)
    plain = Recipe(
        "r", (data,), "random:conformer", settings=settings, folds=2, run_folds=(0,), scratch=Scratch(folds=0)
    )
    return replace(plain, **values)


def built(made: Recipe) -> tuple[object, Manifest]:
    task = fold_task(made, open_corpus(made, RATE), 0)
    return task.objective(), task.manifest.split("train")


def test_a_teacher_stands_beside_the_recogniser(data: str) -> None:
    made = recipe(data, distillation=Distillation("random:conformer", "layer1", 0.5))
    objective, train = built(made)
    assert isinstance(objective, Sum)
    assert list(objective.parts) == ["asr", "teacher"]
    assert objective.weights == {"asr": 1.0, "teacher": 0.5}
    teacher = objective.parts["teacher"]
    assert isinstance(teacher, Distil)
    assert teacher.teacher is not None
    assert all(teacher.teacher.heard(row.id) is not None for row in train)
    assert objective.select == ("cer", "min")


def test_a_language_has_an_output_layer_of_its_own_letters(data: str) -> None:
    objective, train = built(recipe(data, heads="language", language_model=3))
    assert isinstance(objective, Sum)
    assert list(objective.parts) == ["eng", "xho"]
    for language, part in objective.parts.items():
        assert isinstance(part, Ctc)
        assert part.only == {"language": language}
        assert ("ñ" in part.vocabulary.labels) == (language == "xho")
        own = {part.vocabulary.contract.apply(row.text or "") for row in train if row.language == language}
        assert part.language_model is not None
        assert set(part.language_model.texts) == own


def test_heads_by_language_need_languages(data: str) -> None:
    made = recipe(data, heads="language")
    opened = open_corpus(made, RATE)
    for change in ({"language": None}, {"language": "eng"}):
        rows = tuple(replace(row, **change) for row in opened.manifest)
        task = fold_task(made, replace(opened, manifest=Manifest(rows)), 0)
        with pytest.raises(DataError, match="needs two languages or more, and every row to name its own"):
            task.objective()


def test_a_weight_must_teach() -> None:
    with pytest.raises(SettingsError, match="weight=0 must be above zero"):
        Distillation("x", weight=0)


@pytest.mark.parametrize("heads", ["one", "language"])
def test_what_was_taught_is_a_run_and_a_source(
    data: str, heads: str, tiny: Callable[..., Conformer], tmp_path: Path
) -> None:
    made = recipe(data, heads=heads, distillation=Distillation("random:conformer"))
    outcome = run(made, tmp_path / "run", tiny())
    assert outcome.metrics["unseen_floor"]["count"] > 0
    assert read_json(tmp_path / "run" / "objective.json")["kind"] == "sum"
    model = load(tmp_path / "run")
    test = fold_task(made, open_corpus(made, RATE), 0).manifest.split("test")
    assert model.encoder.card.teachers == ("random:conformer (random weights)",)
    written = (tmp_path / "run" / "predictions" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(predict(model, test)) == len(written)
    donor = load_encoder(tmp_path / "run").donor
    assert donor is not None
    assert donor.labels is not None
    assert "ñ" in donor.labels
    assert donor.weight.shape == (len(donor.labels), 16)
    again = run(
        replace(made, source=str(tmp_path / "run"), heads="one", distillation=Distillation()), tmp_path / "next"
    )
    plan = read_json(tmp_path / "next" / "plan.json")
    assert "a" in plan["shared_labels"]
    assert again.metrics["steps"] == 2
    assert load(tmp_path / "next").encoder.card.teachers == model.encoder.card.teachers


def test_what_a_teacher_heard_its_student_knows_and_no_test_may_hold(
    data: str, tiny: Callable[..., Conformer], tmp_path: Path
) -> None:
    made = recipe(data)
    run(made, tmp_path / "first", tiny())
    known = load(tmp_path / "first").encoder.card.audio
    taught = replace(made, distillation=Distillation(str(tmp_path / "first")))
    run(taught, tmp_path / "same", tiny())
    card = load(tmp_path / "same").encoder.card
    assert known <= card.audio
    assert card.teachers == (str(tmp_path / "first"),)
    with pytest.raises(ContaminationError, match=r"in the training data of .*first"):
        run(replace(taught, run_folds=(1,)), tmp_path / "other", tiny())


def test_the_teacher_changes_what_is_learnt(data: str, tiny: Callable[..., Conformer], tmp_path: Path) -> None:
    made = recipe(data)
    run(made, tmp_path / "alone", tiny())
    run(replace(made, distillation=Distillation("random:conformer")), tmp_path / "taught", tiny())
    one, two = (load(tmp_path / name).encoder.state_dict() for name in ("alone", "taught"))
    assert not all(torch.equal(one[name], two[name]) for name in one)


def test_rows_of_a_teachers_test_are_never_heard(data: str) -> None:
    made = recipe(data, distillation=Distillation("random:conformer"))
    task = fold_task(made, open_corpus(made, RATE), 0)
    objective = task.objective()
    assert isinstance(objective, Sum)
    teacher = objective.parts["teacher"]
    assert isinstance(teacher, Distil)
    assert teacher.teacher is not None
    others: tuple[Utterance, ...] = (*task.manifest.split("dev"), *task.manifest.split("test"))
    assert not any(teacher.teacher.heard(row.id) for row in others)
