"""Doubts about transcripts: each kind is found where it is planted, and nothing is found in what is sound."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speechtransfer import symptoms
from speechtransfer.audio import write_wav
from speechtransfer.cli import main
from speechtransfer.manifest import Utterance
from speechtransfer.symptoms import Symptom, paired
from speechtransfer.text import TextContract

PLAIN = ["la casa es grande", "el perro come pan", "mañana será otro día", "no sé qué decir"]


def rows(*texts: str | None, split: str | None = None) -> list[Utterance]:
    return [Utterance(Path(f"/sound/{place}.wav"), text=text, split=split) for place, text in enumerate(texts)]


def written(found: Sequence[Utterance], **choices: Any) -> list[Symptom]:
    return symptoms.written(found, TextContract(**choices))


def kinds(found: list[Symptom]) -> list[tuple[str, str]]:
    return [(Path(one.id).stem, one.kind) for one in found]


def test_a_sound_corpus_has_no_symptom() -> None:
    assert written(rows(*PLAIN * 50, None)) == []
    assert written([]) == []


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        ("la c\u0430sa", "letters of two scripts in one word", "'\u0430' in 'c\u0430sa' is CYRILLIC SMALL LETTER A"),
        ("la \u0430 casa", "a word in another script", "'\u0430' is Cyrillic, the corpus Latin"),
        ("la casa de la av. mayor", "an abbreviation", "av.: is it"),
        ("la ONU es grande", "an abbreviation", "ONU: is it"),
        ("man\u0303ana", "accents apart from their letters", "NFD"),
        ("la casa [ruido de (dos) perros] (sí)", "a remark in brackets", "[ruido de (dos) perros], (sí): read as said"),
    ],
)
def test_each_kind_is_found_where_it_is(text: str, kind: str, detail: str) -> None:
    (found,) = written(rows(*PLAIN * 5, text))
    assert (Path(found.id).stem, found.kind) == ("20", kind)
    assert detail in found.detail


@pytest.mark.parametrize(
    "text",
    [
        "東京タワーに行きました ひらがな",
        "l\u02bcora di o\u02bbzbek",
        "ελληνικά και πάλι",
        "क्षमा कीजिए",
        "한국어 문장",
        "Fin. Otra frase empieza.",
    ],
)
def test_what_belongs_together_is_no_symptom(text: str) -> None:
    assert written(rows(*[text] * 3)) == []


def test_a_contract_without_remarks_leaves_none_to_doubt() -> None:
    found = rows(*PLAIN, "la casa [ruido]", "mo(t)s")
    assert kinds(written(found)) == [("4", "a remark in brackets")]
    assert written(found, remarks="drop") == written(found, remarks="refuse") == []


def test_capitals_say_nothing_where_all_are() -> None:
    assert written(rows("LA CASA", "EL PERRO COME")) == []


def test_rare_letters_are_counted_over_the_whole_corpus() -> None:
    found = written(rows(*PLAIN * 60, "la kasa", "el kiosco w"))
    assert kinds(found) == [("240", "a rare letter"), ("241", "a rare letter"), ("241", "a rare letter")]
    assert "'k' is written 2 times in" in found[0].detail
    assert written(rows(*PLAIN, "la kasa")) == []  # too few letters to say


def test_letters_that_only_dev_or_test_has() -> None:
    train, test = rows(*PLAIN, split="train"), rows("la Kasa", "la casa", split="test")
    test = [Utterance(Path(f"/test/{place}.wav"), text=row.text, split="test") for place, row in enumerate(test)]
    assert kinds(written([*train, *test])) == [("0", "a letter that train lacks")]
    assert written(test) == []  # without train nothing is lacking


def test_decomposed_throughout_is_one_way_of_writing() -> None:
    apart = [unicodedata.normalize("NFD", text) for text in PLAIN[2:]]
    assert written(rows(*apart)) == []


def test_text_of_another_recording_stands_out_by_its_pace() -> None:
    draw = random.Random(0)
    texts = ["x" * draw.randint(20, 60) for _ in range(40)]
    seconds = [len(text) / draw.uniform(12, 16) for text in texts]
    assert paired(rows(*texts), seconds) == []
    seconds[7] /= 4
    seconds[9] *= 5
    found = paired(rows(*texts), seconds)
    assert kinds(found) == [("7", "much text for its sound"), ("9", "little text for its sound")]
    assert "letters a second, where half of the corpus has over 1" in found[0].detail
    assert paired(rows(*texts[:19]), seconds[:19]) == []  # of so few nobody can say
    even = ["x" * 30] * 40
    assert paired(rows(*even), [2.0] * 39 + [1.2]) == []  # a metronome is no reason to doubt small differences


def test_check_tells_doubts_and_drops_nothing_for_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["file_name,text"]
    for place, text in enumerate([*PLAIN * 2, "la c\u0430sa"]):
        tone = 0.2 * np.sin(2 * np.pi * 300 * np.arange(16_000 + 1000 * place) / 16_000)
        write_wav(tmp_path / "data" / f"{place}.wav", tone, 16_000)
        lines.append(f"{place}.wav,{text}")
    (tmp_path / "data" / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["check", str(tmp_path / "data"), "--out", str(tmp_path / "verdicts.jsonl")])
    assert ended.value.code == 0
    assert "1 doubtful: letters of two scripts in one word, such as" in " ".join(capsys.readouterr().out.split())
    verdicts = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert [one["verdict"] for one in verdicts].count("ok") == 8
    (doubtful,) = [one for one in verdicts if one["verdict"] == "warn"]
    assert Path(doubtful["audio"]).name == "8.wav"
    assert doubtful["doubts"][0]["kind"] == "letters of two scripts in one word"
