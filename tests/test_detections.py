"""The report's section on detection: tables worked by hand, pictures only of what is there."""

from __future__ import annotations

import re

from speechtransfer.detections import detections
from speechtransfer.rundata import Heard


def heard(
    name: str, said: str, found: str, speaker: str | None, accepted: list[str] | None, sure: float = 0.9
) -> Heard:
    scores = {word: 0.9 if word == found else 0.05 for word in ("no", "yes")}
    given = {"confidence": sure, "group": "of both", "scores": scores, "accepted": accepted, "speaker": speaker}
    return Heard(name, said, found, said != found, 1, **given)  # type: ignore[arg-type]


ROWS = [
    heard("1", "yes", "yes", "anna", ["yes"]),
    heard("2", "yes", "no", "anna", ["no"]),
    heard("3", "no", "no", "ben", []),
    heard("4", "no", "no", "ben", ["no"], 0.6),
]


def cells(section: str, title: str) -> list[list[str]]:
    table = section.split(f">{title}</h3>")[1].split("</table>")[0]
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in table.split("<tr")[2:]]


def test_words_and_speakers_with_most_errors_come_first() -> None:
    section = detections(ROWS)
    by_word = [row[:3] + row[4:] for row in cells(section, "By word")]
    assert by_word == [["yes", "2", "1", "1 of 2"], ["no", "2", "0", "1 of 2"]]
    assert [row[:3] for row in cells(section, "By speaker")] == [["anna", "2", "1"], ["ben", "2", "0"]]
    assert cells(section, "By word")[0][3] == "50.0% [1.3, 98.7]"


def test_there_is_a_picture_of_every_threshold_and_one_of_the_calibration() -> None:
    section = detections(ROWS)
    assert section.count("<svg") == 2
    # By hand: 0.6 sure and right, three times 0.9 sure and twice right: (0.4 + 3 x (0.9 - 2/3)) / 4.
    assert "Reliability: 27.5% off on average" in section


def test_without_thresholds_nothing_is_said_of_them() -> None:
    rows = [heard(one.id, one.reference, one.hypothesis, one.speaker, None) for one in ROWS]
    assert [row[4] for row in cells(detections(rows), "By word")] == ["", ""]


def test_without_known_speakers_there_is_no_table_of_them() -> None:
    """What the bootstrap resamples may be a sentence that clips were cut of, which is no speaker."""
    rows = [heard(one.id, one.reference, one.hypothesis, None, []) for one in ROWS]
    assert "By speaker" not in detections(rows)


def test_what_are_no_words_have_no_section() -> None:
    assert detections([Heard("1", "ein text", "ein test", 1, 8, confidence=0.5)]) == ""
    assert detections([]) == ""


def test_one_kind_of_trial_alone_has_no_curve() -> None:
    only = [Heard("1", "yes", "yes", 0, 1, confidence=0.9, group="1", scores={"yes": 0.9}, accepted=["yes"])]
    assert detections(only).count("<svg") == 1
