"""Tests that one text contract goes from the command to the saved model, the splits, the doctor and the scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from speechtransfer import cli
from speechtransfer.catalogue import smoke
from speechtransfer.checkpoint import load
from speechtransfer.defaults import defaults
from speechtransfer.errors import SettingsError
from speechtransfer.objectives import Ctc
from speechtransfer.recipe import Recipe
from speechtransfer.tasks import fold_task, open_corpus
from speechtransfer.text import LANGUAGE_VERSION, TextContract
from speechtransfer.textsettings import ContractSettings
from speechtransfer.trial import read_outcome

CLIPS = sorted((Path(__file__).parents[1] / "data" / "synthetic" / "clips").glob("*.ogg"))
LETTERS = "一二三四五六七八九十百千"


def corpus(folder: Path, texts: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    rows = ({"audio": str(clip), "text": text} for clip, text in zip(CLIPS, texts, strict=False))
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "manifest.jsonl"


def opened(path: Path, language: str | None, contract: ContractSettings) -> tuple[Recipe, TextContract, Ctc, list[str]]:
    recipe = Recipe("x", (str(path),), "random:conformer", language=language, contract=contract, folds=2)
    found = open_corpus(recipe, 16_000, (str(CLIPS[0].parent),))
    objective = fold_task(recipe, found, 0).objective()
    assert isinstance(objective, Ctc)
    return recipe, found.contract, objective, [found.prompt(row) for row in found.manifest]


def test_the_doctor_the_splits_and_the_vocabulary_have_one_contract(tmp_path: Path) -> None:
    path = corpus(tmp_path, [f"IŞIK {letter} 5" for letter in "ABCDEFGIJ"])
    _, contract, objective, prompts = opened(path, "aze", ContractSettings("language", digits="words"))
    assert contract == TextContract(LANGUAGE_VERSION, digits="words", language="aze")
    assert objective.vocabulary.contract == contract
    assert prompts[:2] == ["ışık a beş", "ışık b beş"]
    assert "ı" in objective.vocabulary.symbols
    path = corpus(tmp_path, [f"IŞIK {letter}" for letter in "ABCDEFGIJ"])
    _, contract, objective, prompts = opened(path, "aze", ContractSettings())
    assert contract == objective.vocabulary.contract == TextContract()
    assert prompts[0] == "işik a"


def test_a_choice_without_its_language_is_refused_before_anything_is_read() -> None:
    for contract in (ContractSettings("language"), ContractSettings(marks="strip")):
        with pytest.raises(SettingsError, match="language"):
            open_corpus(Recipe("x", ("nowhere",), contract=contract), 16_000)


def test_adapt_takes_the_rules_of_a_language_that_has_some() -> None:
    assert defaults("data", "s", "conformer", "tur").contract == ContractSettings("language")
    for language, task in (("swh", "ctc"), (None, "ctc"), ("tur", "keywords")):
        assert defaults("data", "s", "conformer", language, task).contract == ContractSettings()
    assert Recipe("x", ()).contract == ContractSettings()
    asked = replace(Recipe("x", (), language="arb"), contract=ContractSettings("language", marks="strip"))
    small = smoke(asked)[0]
    assert small.contract.contract(small.language).language == "eng"


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_a_recogniser_of_unspaced_words_has_no_word_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    path, out = corpus(tmp_path / "data", [f"今日 は {letter}、です" for letter in LETTERS]), tmp_path / "run"
    roots = ("--audio-root", CLIPS[0].parent)
    flags = ("--source", "random:conformer", "--language", "jpn", "--steps", "1", "--out", out, "--set", "folds=2")
    assert call("adapt", path, *roots, *flags, "language_model=0") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "text: rules of jpn (version 2): 〇 are letters; spaces between ideographs and kana are removed; no sp" in said
    )
    metrics = json.loads((out / "metrics.json").read_text())
    assert "cer" in metrics["test"] and "wer" not in metrics["test"]
    assert set(read_outcome(out).scores["test"].metrics) == {"cer"}
    objective = load(out).objective
    assert objective.contract == TextContract(LANGUAGE_VERSION, language="jpn")
    rows = [json.loads(line) for line in (out / "predictions" / "test.jsonl").read_text().splitlines()]
    assert all(row["reference"].startswith("今日は") for row in rows)
    assert call("mine", path, *roots, "--language", "jpn") == 1
    assert "no words" in capsys.readouterr().err


def test_check_reads_as_the_language_is_written(tmp_path: Path) -> None:
    path, out = corpus(tmp_path, ["〇", *"一二三四"]), tmp_path / "verdicts.jsonl"
    for language, lost in ((None, 1), ("zho", 0)):
        flags = ("--language", language) if language else ()
        assert call("check", path, "--audio-root", CLIPS[0].parent, "--out", out, *flags) == 0
        verdicts = [json.loads(line)["verdict"] for line in out.read_text().splitlines()]
        assert verdicts.count("drop") == lost


def test_remarks_are_told_and_left_out_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    texts = [f"{letter}a [x{letter}x]" for letter in "bcdfghjklm"]
    path = corpus(tmp_path / "data", [*texts, "[xxx]", "mo(x)s"])
    roots = ("--audio-root", CLIPS[0].parent)
    flags = ("--source", "random:conformer", "--steps", "1", "--set", "folds=2", "language_model=0")
    assert call("check", path, *roots) == 0
    assert "a remark in brackets" in capsys.readouterr().out
    for remarks, told in (("keep", True), ("drop", False)):
        out = tmp_path / remarks
        assert call("adapt", path, *roots, *flags, f"contract.remarks={remarks}", "--out", out) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert ("11 transcripts have words in brackets, learnt as said" in said) == told
        objective = load(out).objective
        assert isinstance(objective, Ctc)
        assert objective.vocabulary.contract == TextContract(remarks=remarks)  # type: ignore[arg-type]
        assert ("x" in objective.vocabulary.symbols) == told
        rows = [json.loads(line) for line in (out / "predictions" / "test.jsonl").read_text().splitlines()]
        assert all(("x" in row["reference"]) == told for row in rows)
        ledger = map(json.loads, (out / "ledger.jsonl").read_text().splitlines())
        reasons = [row["reason"] for row in ledger if row["action"] == "dropped"]
        assert len(reasons) == (0 if told else 2), reasons
    assert any("brackets within a word" in reason for reason in reasons)
    assert call("check", path, *roots, "--recogniser", tmp_path / "drop") == 0
    assert "a remark in brackets" not in capsys.readouterr().out
