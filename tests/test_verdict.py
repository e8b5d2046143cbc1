"""Verdicts: a claim where the paired interval allows one, and none elsewhere."""

import json
import re
from dataclasses import replace

import pytest

from speechtransfer.errors import DataError
from speechtransfer.score import Scores, Transcription, score_labels, score_transcriptions
from speechtransfer.verdict import judge


def scores(wrong, count=40, prompts=20, notes=()):
    """``count`` utterances of ten characters; utterance i has ``wrong(i)`` of them wrong."""
    rows = [
        Transcription(f"u{i}", "абвг дежзи", "х" * wrong(i) + "абвг дежзи"[wrong(i) :], f"p{i % prompts}")
        for i in range(count)
    ]
    return replace(score_transcriptions(rows), notes=notes)


GOOD, BAD = scores(lambda i: i % 3), scores(lambda i: 3 + i % 4)


def test_help_is_claimed_with_its_figures():
    verdict = judge(GOOD, BAD)
    number = r"[+-]\d+\.\d"
    assert re.fullmatch(
        r"Transfer helps: CER 9\.8% against 45\.0% from scratch, 78\.3% relative lower "
        rf"\(difference -35\.2 points, 95% interval {number} to {number}, 400 characters\)\.",
        verdict.text,
    )
    assert verdict.difference.value == pytest.approx(GOOD["cer"].value - BAD["cer"].value)
    assert verdict.difference.high < 0


def test_harm_is_claimed_as_plainly():
    verdict = judge(BAD, GOOD)
    assert verdict.text.startswith("Transfer hurts: CER 45.0% against 9.8% from scratch, 361.5% relative higher")
    assert verdict.difference.low > 0


def test_no_difference_is_claimed_where_the_interval_holds_zero():
    one, other = scores(lambda i: i * 7 % 5), scores(lambda i: i * 3 % 5)
    verdict = judge(one, other, against="frozen")
    assert verdict.text.startswith("No difference can be claimed: CER 20.0% against 20.0% frozen (")
    assert judge(GOOD, GOOD).text.startswith("No difference can be claimed")


def test_few_prompts_claim_nothing_and_say_why():
    good, bad = scores(lambda i: i % 3, prompts=5), scores(lambda i: 3 + i % 4, prompts=5)
    text = judge(good, bad).text
    assert text.startswith("No difference can be claimed")
    assert text.endswith("only 5 independent groups (prompts or speakers); a claim needs 6.")


def test_words_and_labels_are_judged_too():
    assert "WER" in judge(GOOD, BAD, metric="wer").text
    assert "80 words" in judge(GOOD, BAD, metric="wer").text
    right = score_labels([Transcription(str(i), "да", "да", str(i)) for i in range(30)])
    wrong = score_labels([Transcription(str(i), "да", "данет"[i % 2 * 2 :][:2], str(i)) for i in range(30)])
    verdict = judge(right, wrong, metric="accuracy")
    assert verdict.text.startswith("Transfer helps: error rate 0.0% against")
    with pytest.raises(DataError, match="cannot judge by 'eer'"):
        judge(GOOD, BAD, metric="eer")


def test_utterances_are_paired_by_id_not_by_place():
    turned = Scores(BAD.metrics, BAD.rows[::-1])
    assert judge(GOOD, turned) == judge(GOOD, BAD)


def test_several_runs_are_averaged():
    assert judge([GOOD, GOOD], BAD) == judge(GOOD, BAD)
    mixed = judge([GOOD, BAD], BAD).difference.value
    assert mixed == pytest.approx(judge(GOOD, BAD).difference.value / 2)
    with pytest.raises(DataError, match="at least one run"):
        judge([], BAD)


def test_other_utterances_or_other_references_are_refused():
    with pytest.raises(DataError, match="in one run only, u39"):
        judge(GOOD, scores(lambda i: 1, count=39))
    other = (replace(BAD.rows[0], reference="иное"), *BAD.rows[1:])
    with pytest.raises(DataError, match="one text contract"):
        judge(GOOD, Scores(BAD.metrics, other))
    with pytest.raises(DataError, match="twice"):
        judge(GOOD, Scores(BAD.metrics, BAD.rows + BAD.rows[:1]))


def test_notes_go_with_the_claim():
    noted = scores(lambda i: i % 3, notes=("speaker-dependent",))
    assert judge([noted, noted], BAD).text.endswith("Note: speaker-dependent.")


def test_the_written_form():
    verdict = judge(GOOD, BAD)
    written = json.loads(json.dumps(verdict.as_dict(), allow_nan=False))
    assert written["text"] == verdict.text == str(verdict)
    assert written["metric"] == "cer"
    assert written["difference"]["significant"] is True
    assert set(written["difference"]) == {
        "value",
        "low",
        "high",
        "relative",
        "count",
        "groups",
        "significant",
    }
