"""Tests of phones by a lexicon: reading it, cutting by it, and scoring phones where nothing is written."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from speechtransfer.errors import DataError, TextError
from speechtransfer.manifest import Utterance
from speechtransfer.objectives import KINDS, Ctc
from speechtransfer.objectives.contract import Prediction
from speechtransfer.pronunciation import Phones, read_lexicon
from speechtransfer.report import write_report
from speechtransfer.score import Transcription, aligned, pool, score_phones, substitutions
from speechtransfer.text import TextContract
from speechtransfer.verdict import judge
from speechtransfer.vocabulary import Vocabulary

CONTRACT = TextContract()
LEXICON = Phones({"the": ("DH", "AH0"), "hat": ("HH", "AE1", "T"), "hut": ("HH", "AH1", "T"), "a": ("AH0",)})


def written(folder: Path, content: str | bytes) -> str:
    path = folder / "lexicon.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_a_lexicon_is_read_as_it_is_usually_written(tmp_path: Path) -> None:
    held = ";;; CMUdict\nREAD  R EH1 D\nREAD(2)  R IY1 D\n\nÉte\u0301\te t e\n'tis t ih z\n"
    lexicon = read_lexicon(written(tmp_path, held + "!SIL\tsil\nwell-known w\n3d th r iy\n"), CONTRACT)
    assert lexicon.entries == {
        "read": ("R", "EH1", "D"),
        "été": ("e", "t", "e"),
        "sil": ("sil",),
        "tis": ("t", "ih", "z"),
    }
    assert read_lexicon(written(tmp_path, "READ r\n"), TextContract(case="keep")).entries == {"READ": ("r",)}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("the DH AH0\nhat\n", r":2: 'hat' has no phones"),
        ("the 0.99 0.1 DH AH0\n", r":1: 0.99 is a probability"),
        ("", "holds no word"),
        ("3 TH\n...\tX\n", "holds no word"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_damaged_lexicon_is_refused_by_its_line(tmp_path: Path, content: str | bytes, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read_lexicon(written(tmp_path, content), CONTRACT)
    with pytest.raises(DataError, match="cannot be read"):
        read_lexicon(str(tmp_path / "nowhere"), CONTRACT)


def test_words_become_phones_and_are_not_written_again() -> None:
    vocabulary = Vocabulary.from_texts(["The hat!"], units=LEXICON)
    assert vocabulary.symbols == ("AE1", "AH0", "DH", "HH", "T")
    assert vocabulary.encode("hat the") == [4, 1, 5, 3, 2]
    assert vocabulary.decode([4, 1, 5, 3, 2]) == vocabulary.normal("hat the") == "HH AE1 T DH AH0"
    assert vocabulary.words("the hat") == [["DH", "AH0"], ["HH", "AE1", "T"]]
    assert not vocabulary.writes
    assert vocabulary.unseen(["a hut dog the"]) == Counter({"AH1": 1, "dog": 1})
    with pytest.raises(TextError, match="phones or words outside the vocabulary: AH1"):
        vocabulary.encode("hut")
    with pytest.raises(TextError, match=r"lacks \(1\): dog. Add"):
        vocabulary.normal("the dog")
    again = Vocabulary.from_dict(json.loads(json.dumps(vocabulary.as_dict())))
    assert again == vocabulary and again.hash == vocabulary.hash


def test_phones_are_compared_whole() -> None:
    assert aligned("h ae t", "h aa", phones=True) == [
        ("equal", ["h "], ["h "]),
        ("substitute", ["ae "], ["aa "]),
        ("delete", ["t "], []),
    ]
    counted = Counter({("ae", "aa"): 1, ("t", ""): 1, ("", "b"): 1})
    assert substitutions([("h ae t", "h aa"), ("ae", "b ae")], phones=True) == counted
    rows = [Transcription("a", "h ae t", "h aa", "1"), Transcription("b", "ae", "b ae", "2")]
    scores = score_phones(rows)
    assert (scores["per"].value, scores["per"].count) == (3 / 4, 4)
    assert [(row.errors, row.count) for row in scores.rows] == [(2, 3), (1, 1)]
    assert pool([score_phones(rows[:1]), score_phones(rows[1:])]) == scores
    assert "phone error rate 75.0% against 75.0%" in judge(scores, scores, "per").text


def test_a_recogniser_of_phones_is_judged_by_its_phones() -> None:
    objective = Ctc(Vocabulary.from_texts(["the hat a hut"], units=LEXICON))
    assert objective.select == ("per", "min")
    rows = [Utterance(Path("a.wav"), text="the hat"), Utterance(Path("b.wav"), text="a hut")]
    scores = objective.score(rows, [Prediction("DH AH0 HH AH1 T", 0.9), Prediction("AH0 HH AH1 T", 0.9)])
    assert set(scores.metrics) == {"per"}
    assert (scores["per"].value, scores["per"].count) == (1 / 9, 9)
    assert scores.rows[0].reference == "DH AH0 HH AE1 T"
    more = [*rows, Utterance(Path("c.wav"), text="cat"), Utterance(Path("d.wav"), text="a dog")]
    with pytest.raises(TextError, match=r"lacks \(2\): cat, dog"):
        objective.score(more, [Prediction("", 0.9)] * 4)
    again = KINDS["ctc"].from_settings(json.loads(json.dumps(objective.settings())))
    assert again.select == objective.select
    assert Ctc(Vocabulary.from_texts(["a"])).select == ("cer", "min")


def test_the_report_shows_phones_and_says_that_they_are_no_words(tmp_path: Path) -> None:
    figure = {"value": 0.2, "low": 0.1, "high": 0.3, "count": 40}
    metrics = {"task": "ctc", "test": {"per": figure}, "unseen_floor": figure, "baselines": {}, "verdict": None}
    metrics["units"] = {"kind": "phones", "told": "5 phones"}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "predictions").mkdir()
    row = {"id": "a.wav", "reference": "HH AE1 T", "hypothesis": "HH AH1 T", "errors": 1, "count": 3}
    (tmp_path / "predictions" / "test.jsonl").write_text(json.dumps(row) + "\n")
    page = write_report(tmp_path).read_text()
    assert 'title="substitute: AE1  → AH1 "' in page
    for said in ("phone error rate", "of 40 phones", "words cannot be written", "5 phones", "no phone error rate can"):
        assert said in page
