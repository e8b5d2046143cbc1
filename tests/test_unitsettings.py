"""Tests of the choice of units: what is refused, what is taken of which texts, and that a run keeps it throughout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speechtransfer import cli
from speechtransfer.checkpoint import load, save
from speechtransfer.defaults import defaults
from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.errors import DataError, SettingsError, TextError
from speechtransfer.languages import RULES
from speechtransfer.objectives import Ctc
from speechtransfer.objectives.contract import Prediction
from speechtransfer.recipe import Recipe
from speechtransfer.record import as_known, config_hash
from speechtransfer.tasks import fold_task, open_corpus
from speechtransfer.text import LANGUAGE_VERSION, TextContract
from speechtransfer.transfer import Transfer
from speechtransfer.trial import read_outcome
from speechtransfer.units import Characters, Clusters, Multigraphs, Pieces, Units
from speechtransfer.unitsettings import UnitSettings
from speechtransfer.vocabulary import Vocabulary

SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"
CONTRACT = TextContract()
#: The synthetic words, a phone a letter.
WORDS = "red green blue yellow tree one bird two fish a door the old open close birds sing swim sea is sun by and to me"
LEXICON = "".join(f"{word} {' '.join(word.upper())}\n" for word in WORDS.split())


def chosen(texts: list[str], **asked: Any) -> tuple[Units, str]:
    return UnitSettings(**asked).choose(texts, CONTRACT, None)


def test_without_marks_it_is_characters() -> None:
    units, why = chosen(["été и ещё", "한국어 việt nam"], kind="auto")
    assert units == Characters()
    assert "no letter carries a mark" in why


def test_clusters_are_taken_where_nearly_all_of_them_are_known() -> None:
    """Of 500 clusters the share seen once is an estimate of the share unseen: 5 of 500 are 1%, 6 more than that."""
    many = [f"{'ọ̀' * (90 + number)}" for number in range(5)]
    length = sum(90 + number for number in range(5))
    for rare, expected in ((4, Clusters()), (6, Characters())):
        once = "".join("bdfgkl"[number] for number in range(rare))
        units, why = chosen([*many, once, once[::-1], "r" * (500 - length - 2 * rare)], kind="auto")
        assert units == Clusters(), why
        units, why = chosen([*many, once, "r" * (500 - length - rare)], kind="auto")
        assert units == expected, why
        assert f"{rare / 500:.1%}" in why


def test_a_prompt_said_often_counts_once() -> None:
    assert chosen(["ẹ̀kọ́ abc"] * 1000, kind="auto")[0] == Characters()


def test_nothing_chooses_pieces_unasked_and_few_texts_hold_none() -> None:
    words = [f"{one} {two}" for one in WORDS.split() for two in WORDS.split()]
    assert chosen(words, kind="auto")[0] == Characters()
    units, why = chosen(words, kind="bpe")
    assert isinstance(units, Pieces)
    count = sum(map(len, words))
    assert len(Vocabulary.from_texts(words, units=units).symbols) == count // 100 > len(set("".join(words)))
    assert f"learnt from {count} characters" in why
    assert len(Vocabulary.from_texts(words, units=chosen(words, kind="bpe", size=40)[0]).symbols) == 40
    for texts, size, fault in (
        (words[:20], None, r"100 for each piece makes \d: no more than there are letters"),
        (words, 20, "units.size=20: no more than there are letters"),
        (words[:40], 60, r"only \d+ units, not 60"),
    ):
        with pytest.raises(SettingsError, match=fault):
            chosen(texts, kind="bpe", size=size)


def test_multigraphs_that_training_never_had_are_told_and_left_apart() -> None:
    units, why = chosen(["nyama", "chanya"], kind="multigraphs", multigraphs=("NY", "tsh", "ch", "a"))
    assert units == Multigraphs(("a", "ch", "ny"))
    assert why == "a 4 times, ch 1 times, ny 2 times; never in the training texts, so left apart: tsh"
    with pytest.raises(SettingsError, match=r"none of tsh stands in the training texts"):
        chosen(["nyama"], kind="multigraphs", multigraphs=("tsh",))
    assert chosen(["ng'ombe"], kind="multigraphs", multigraphs=("ng\u2019",))[0] == Multigraphs(("ng'",))


ARABIC = TextContract(LANGUAGE_VERSION, language="arb", marks="strip")


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"kind": "multigraphs"}, "which"),
        ({"multigraphs": ("ny",)}, "units.kind=multigraphs, not characters"),
        ({"kind": "auto", "lexicon": "x"}, "units.kind=phones, not auto"),
        ({"kind": "clusters", "size": 100}, "units.kind=bpe, not clusters"),
        ({"kind": "phones"}, "which lexicon"),
        ({"kind": "multigraphs", "multigraphs": ("n y",)}, "'n y' the text contract leaves 'n y'"),
        ({"kind": "multigraphs", "multigraphs": ("n-y",)}, "leaves 'n y'"),
        ({"kind": "multigraphs", "multigraphs": ("ny.",)}, "leaves 'ny '"),
        ({"kind": "multigraphs", "multigraphs": ("n\u00ady",)}, "leaves 'ny'"),
        ({"kind": "multigraphs", "multigraphs": ("n2",)}, "digits"),
        ({"kind": "multigraphs", "multigraphs": ("!",)}, "leaves ' '"),
    ],
)
def test_settings_that_fit_no_text_are_refused_before_any_is_read(asked: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        UnitSettings(**asked).check(CONTRACT)
    with pytest.raises(SettingsError, match=fault):
        open_corpus(Recipe("x", ("nowhere",), units=UnitSettings(**asked)), 16_000)


def test_what_a_languages_rules_remove_is_in_no_multigraph() -> None:
    assert "arb" in RULES
    UnitSettings("multigraphs", ("\u0644\u0627",)).check(ARABIC)
    with pytest.raises(SettingsError, match="leaves"):
        UnitSettings("multigraphs", ("\u0644\u064e\u0627",)).check(ARABIC)


def test_recipes_of_before_have_characters_and_their_hash() -> None:
    assert Recipe("x", ()).units == UnitSettings("characters")
    assert defaults("data", "s", "conformer", None).units == UnitSettings("auto")
    assert defaults("data", "s", "conformer", None, "keywords").units == UnitSettings()
    now = Recipe("x", ()).config()
    then = {name: value for name, value in now.items() if name != "units"}
    assert config_hash(as_known(now, then, now)) == config_hash(then)
    with pytest.raises(SettingsError, match="task must be ctc"):
        Recipe("x", (), task="keywords", units=UnitSettings("clusters"))


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def adapt(out: Path, *more: str) -> int:
    flags = ("--source", out.parent / "tiny", "--steps", "1", "--out", out, "--set", "folds=2", "language_model=3")
    return call("adapt", SYNTHETIC, *flags, *more)


def test_a_run_of_phones_from_the_command_to_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    lexicon, out = tmp_path / "lexicon.txt", tmp_path / "run"
    tiny = Conformer(ConformerSettings(width=16, layers=1, heads=2, kernel=3, expansion=2))
    save(Transfer().apply(tiny, Ctc(Vocabulary.from_texts(["ab"])))[0], tmp_path / "tiny")
    lexicon.write_text(LEXICON.replace("me M E\n", "").replace("sun S U N\n", ""))
    asked = ("units.kind=phones", f"units.lexicon={lexicon}")
    assert adapt(out, *asked) == 1
    assert "words that the lexicon lacks (2): me, sun. Add their phones." in capsys.readouterr().err
    assert not out.exists()

    lexicon.write_text(LEXICON)
    assert adapt(out, *asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "phones (of which words cannot be written again): by" in said and "phone error rate" in said
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["test"]) == {"per", "notes"}
    assert metrics["units"]["kind"] == "phones"
    assert metrics["language_model"]["of"] == "phones"
    assert metrics["unseen_floor"]["count"] == metrics["test"]["per"]["count"]
    assert read_outcome(out).scores["test"].metrics.keys() == {"per"}
    model = load(out)
    assert isinstance(model.objective, Ctc)
    assert metrics["units"]["sha256"] == [model.objective.vocabulary.hash]
    assert adapt(out, *asked, "--resume") == 0
    assert adapt(out, "--resume") == 1
    assert "another units" in capsys.readouterr().err
    assert call("score", out, SYNTHETIC) == 0
    assert "per " in capsys.readouterr().out
    assert call("transcribe", out, SYNTHETIC / "clips" / "00.ogg") == 0
    assert "words cannot be written" in (out / "README.md").read_text()


def test_multigraphs_are_learnt_and_their_letters_scored() -> None:
    recipe = Recipe(
        "x", (str(SYNTHETIC),), "random:conformer", folds=2, units=UnitSettings("multigraphs", ("ee", "th"))
    )
    task = fold_task(recipe, open_corpus(recipe, 16_000), 0)
    objective = task.objective()
    assert isinstance(objective, Ctc)
    assert {"ee", "th"} <= set(objective.vocabulary.symbols)
    rows = task.tests["test"].rows
    texts = [CONTRACT.apply(row.text or "") for row in rows]
    scores = objective.score(rows, [Prediction(text, 0.9) for text in texts])
    assert {name: (one.value, one.count) for name, one in scores.metrics.items()} == {
        "cer": (0, len("".join(texts))),
        "wer": (0, len(" ".join(texts).split())),
    }


def test_texts_and_units_meet_before_training(tmp_path: Path) -> None:
    recipe = Recipe("x", (str(SYNTHETIC),), "random:conformer", folds=2, units=UnitSettings("bpe"))
    with pytest.raises(SettingsError, match="no more than there are letters"):
        fold_task(recipe, open_corpus(recipe, 16_000), 0).objective()
    path = tmp_path / "lexicon"
    path.write_text("the\n")
    damaged = Recipe("x", ("nowhere",), units=UnitSettings("phones", lexicon=str(path)))
    with pytest.raises(DataError, match="has no phones"):
        open_corpus(damaged, 16_000)
    with pytest.raises((DataError, TextError)):
        open_corpus(Recipe("x", ("nowhere",), units=UnitSettings("phones", lexicon=str(tmp_path / "none"))), 16_000)
