"""A recogniser and the n-gram of its training texts: used as far as dev says, saved whole, told in the figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from speechtransfer.baseline import Scratch
from speechtransfer.checkpoint import load, save
from speechtransfer.defaults import defaults
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.evaluate import predict
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Manifest
from speechtransfer.model import Model
from speechtransfer.ngram import CharacterNgram
from speechtransfer.objectives import KINDS, Ctc
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.sources import load_encoder
from speechtransfer.tasks import fold_task, open_corpus
from speechtransfer.transfer import Plan, Transfer
from speechtransfer.trial import run_trial
from speechtransfer.vocabulary import Vocabulary

SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"
TEXTS = ("die katze", "die tatze", "die matte")
VOCABULARY = Vocabulary.from_texts(TEXTS)


def reader(texts: tuple[str, ...] = TEXTS) -> Ctc:
    """An objective whose frames are its outputs."""
    objective = Ctc(VOCABULARY, 0.0, CharacterNgram.from_texts(texts, 4))
    objective.attach(len(VOCABULARY), 0.04)
    with torch.no_grad():
        objective.heads["output"].weight.copy_(torch.eye(len(VOCABULARY)))
        objective.heads["output"].bias.zero_()
    return objective.eval()


def spelt(text: str, doubt: dict[int, str] | None = None, vocabulary: Vocabulary = VOCABULARY) -> Frames:
    """Two frames a character, with a blank between; where in doubt, another letter sounds a little likelier."""
    values = torch.full((1, 3 * len(text), len(vocabulary)), -8.0)
    for place, character in enumerate(text):
        values[0, 3 * place : 3 * place + 2, vocabulary.labels.index(character)] = 4.0
        values[0, 3 * place + 2, Vocabulary.blank] = 4.0
        if doubt and place in doubt:
            values[0, 3 * place : 3 * place + 2, vocabulary.labels.index(doubt[place])] = 4.2
    return Frames(values, torch.tensor([values.shape[1]]), 0.04)


def batch(text: str) -> Batch:
    return Batch(torch.zeros(1, 1), torch.ones(1, dtype=torch.int64), (text,), torch.ones(1), {"text": (text,)})


def test_it_is_used_where_dev_says_that_it_helps() -> None:
    objective, unclear = reader(), spelt("die katze", {5: "e", 7: "d"})
    assert [one.value for one in objective.predict(unclear)] == ["die ketde"]
    chosen = objective.finish([(unclear, batch("die katze"))])["language_model"]
    assert chosen["chosen"] is not None
    assert (chosen["errors"], chosen["errors_without"], chosen["characters"]) == (0, 2, 9)
    assert chosen["dev"][0] == {"weight": 0.0, "bonus": 0.0, "errors": 2}
    assert min(trial["errors"] for trial in chosen["dev"]) == 0
    assert [one.value for one in objective.predict(unclear)] == ["die katze"]


def test_it_is_not_used_where_dev_is_as_good_without() -> None:
    objective = reader()
    chosen = objective.finish([(spelt("die matte"), batch("die matte"))])["language_model"]
    assert chosen["chosen"] is None
    assert objective.fusion is None
    assert objective.settings()["language_model"] is None


def test_without_one_nothing_is_chosen() -> None:
    objective = Ctc(VOCABULARY)
    assert objective.finish([]) == {}


def test_without_a_dev_row_nothing_is_chosen() -> None:
    """Of several languages, each with an output layer, dev may lack one."""
    objective = reader()
    assert objective.finish([]) == {}
    assert objective.fusion is None


def test_it_is_saved_with_the_model() -> None:
    objective, unclear = reader(), spelt("die katze", {5: "e", 7: "d"})
    objective.finish([(unclear, batch("die katze"))])
    saved = json.loads(json.dumps({"kind": objective.kind, **objective.settings()}))
    assert saved["language_model"]["texts"] == sorted(TEXTS)
    again = KINDS[saved["kind"]].from_settings(saved)
    again.attach(len(VOCABULARY), 0.04)
    again.load_state_dict(objective.state_dict())
    assert again.settings() == objective.settings()
    assert again.eval().predict(unclear) == objective.predict(unclear)


def test_a_run_says_what_it_was_worth_on_dev_and_decodes_the_same_when_loaded(tmp_path: Path) -> None:
    recipe = Recipe("r", (str(SYNTHETIC),), "random:conformer", folds=2, scratch=Scratch(folds=0), language_model=3)
    corpus = open_corpus(recipe, 16_000)
    task = fold_task(recipe, corpus, 0)
    objective = task.objective()
    assert isinstance(objective, Ctc)
    train = {objective.vocabulary.contract.apply(row.text or "") for row in task.manifest.split("train")}
    assert objective.language_model == CharacterNgram.from_texts(train, 3)
    outcome = run_trial(tmp_path, load_encoder(recipe.source), task, Transfer(), FitSettings(steps=2, evaluations=1))
    told = outcome.metrics["language_model"]
    assert told["order"] == 3
    assert told["errors"] <= told["errors_without"]
    assert told["dev"][0]["errors"] >= min(trial["errors"] for trial in told["dev"])
    rows = Manifest(task.tests["test"].rows)
    heard = [
        json.loads(line)["hypothesis"] for line in (tmp_path / "predictions" / "test.jsonl").read_text().splitlines()
    ]
    assert [one.value for one in predict(load(tmp_path), rows)] == heard


WIDER = ("die tulpe", "die rose", "die nelke")


def test_other_texts_are_used_where_dev_says_that_they_help() -> None:
    vocabulary = Vocabulary.from_texts((*TEXTS, *WIDER))
    objective = Ctc(vocabulary, 0.0, CharacterNgram.from_texts(TEXTS, 4), wider=CharacterNgram.from_texts(WIDER * 2, 4))
    objective.attach(len(vocabulary), 0.04)
    with torch.no_grad():
        objective.heads["output"].weight.copy_(torch.eye(len(vocabulary)))
        objective.heads["output"].bias.zero_()
    objective.eval()
    unclear = spelt("die tulpe", {5: "a", 7: "t"}, vocabulary)
    told = objective.finish([(unclear, batch("die tulpe"))])["language_model"]
    assert told["wider"] == {"characters": sum(map(len, WIDER)), "errors_without": 2}
    assert (told["errors_without"], told["errors"]) == (2, 0)
    assert told["chosen"]["share"] > 0
    assert [one.value for one in objective.predict(unclear)] == ["die tulpe"]

    saved = json.loads(json.dumps(objective.settings()))
    assert saved["language_model"]["texts"] == sorted(TEXTS)
    assert saved["language_model"]["wider"] == sorted(WIDER)
    again = Ctc.from_settings(saved)
    again.attach(len(vocabulary), 0.04)
    again.load_state_dict(objective.state_dict())
    assert again.settings() == objective.settings()
    assert again.eval().predict(unclear) == objective.predict(unclear)


def prose_recipe(texts: Path) -> Recipe:
    return Recipe(
        "r",
        (str(SYNTHETIC),),
        "random:conformer",
        folds=2,
        scratch=Scratch(folds=0),
        language_model=3,
        texts=(str(texts),),
    )


def test_prompts_of_dev_and_test_are_left_out_of_other_texts(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    plain = fold_task(
        replace(prose_recipe(texts), texts=()), open_corpus(replace(prose_recipe(texts), texts=()), 16_000), 0
    )
    contract = Vocabulary.from_texts(["a"]).contract
    said = {
        name: [contract.apply(row.text or "") for row in plain.manifest.split(name)]
        for name in ("train", "dev", "test")
    }
    texts.write_text(
        "\n".join([*said["train"], *said["dev"], *said["test"], said["train"][0] + " " + said["train"][1]])
    )
    recipe = prose_recipe(texts)
    objective = fold_task(recipe, open_corpus(recipe, 16_000), 0).objective()
    assert isinstance(objective, Ctc)
    assert objective.wider is not None
    later = {*said["dev"], *said["test"]}
    assert later
    assert set(objective.wider.texts) == {*said["train"], said["train"][0] + " " + said["train"][1]} - later


def test_texts_in_other_letters_and_texts_that_nothing_reads_are_refused(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("Ни одной латинской буквы.")
    recipe = prose_recipe(tmp_path / "texts.txt")
    task = fold_task(recipe, open_corpus(recipe, 16_000), 0)
    with pytest.raises(DataError, match="letters of the training transcripts alone"):
        task.objective()
    with pytest.raises(SettingsError, match="texts are for the language model"):
        replace(recipe, language_model=0)


def test_models_saved_before_there_was_one_still_load(tmp_path: Path, join: Callable[..., tuple[Model, Plan]]) -> None:
    model, _ = join()
    save(model, tmp_path)
    path = tmp_path / "objective.json"
    values = json.loads(path.read_text())
    del values["language_model"]
    path.write_text(json.dumps(values))
    assert load(tmp_path).objective.settings()["language_model"] is None


def test_adapt_has_one_and_an_order_below_zero_is_refused() -> None:
    assert defaults("x", "s", "conformer", None).language_model == 6
    assert defaults("x", "s", "whisper", None).language_model == 6
    with pytest.raises(SettingsError, match="language_model=-1"):
        replace(Recipe("r", ("x",)), language_model=-1)
