"""Praat's intervals with text become rows, in every text format, and what praatio would lose is refused."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from speechtransfer import corpora
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest

GOLDEN = Path(__file__).parent / "golden" / "praat"
SAID = [(0.05, 0.4, 'Hallo "Köln", ça va?'), (0.4, 0.75, "ñandú"), (0.8, 0.95, "дім")]


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """The files that praatio wrote, each beside its sound (which is empty)."""
    folder = tmp_path / "golden"
    shutil.copytree(GOLDEN, folder, ignore=shutil.ignore_patterns("*.py"))
    for path in list(folder.iterdir()):
        path.with_suffix(".wav").touch()
    return folder


def grid(path: Path, *tiers: tuple[str, str, list[tuple[float | str, ...]]], begins: float = 0, end: str = "\n") -> str:
    """Write tiers (class, name, entries) in the short text format."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", str(begins), "9", "<exists>", str(len(tiers))]
    for kind, name, entries in tiers:
        lines += [f'"{kind}"', f'"{name}"', str(begins), "9", str(len(entries))]
        lines += [str(value) for *times, text in entries for value in (*times, f'"{text}"')]
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    return str(path)


def spans(manifest: Manifest) -> list[tuple[float | None, float | None, str | None]]:
    return [(row.start, row.end, row.text) for row in manifest]


# Files that praatio wrote.


@pytest.mark.parametrize("name", ["long", "short", "utf16"])
def test_each_text_format_has_the_same_rows(golden: Path, name: str) -> None:
    data = str(golden / f"{name}.TextGrid")
    assert corpora.detect(data) == "praat"
    manifest = corpora.load(data, language="und")
    assert spans(manifest) == SAID and not manifest.ledger
    assert {(row.audio, row.speaker, row.language) for row in manifest} == {(golden / f"{name}.wav", None, "und")}
    # Other line ends and byte orders, as other machines write them.
    path = Path(data)
    text = path.read_text(encoding="utf-16" if name == "utf16" else "utf-8")
    for newline in ("\r\n", "\r"):
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            path.write_text(text, encoding=encoding, newline=newline)
            assert spans(corpora.load(data)) == SAID
    path.write_bytes(b"\xfe\xff" + text.encode("utf-16-be"))
    assert spans(corpora.load(data)) == SAID


def test_tiers_of_several_names_are_speakers(golden: Path) -> None:
    data = str(golden / "voices.TextGrid")
    with pytest.raises(DataError) as caught:
        corpora.load(data)
    assert str(caught.value).splitlines()[1:] == [
        "  Anna: type interval, at the top, 2 annotations, 2 of them with text, in 1 file",
        "  Ben: type interval, at the top, 1 annotations, 1 of them with text, in 1 file",
    ]
    for choice in ("#tier=*", "#tier=Ben,Anna", "#type=interval"):
        rows = corpora.load(data + choice)
        assert [(row.text, row.speaker) for row in rows] == [("yes", "Anna"), ("maybe", "Ben"), ("no", "Anna")]
    assert [(row.text, row.speaker) for row in corpora.load(f"{data}#tier=B?n")] == [("maybe", None)]
    with pytest.raises(
        DataError, match=r"voices\.TextGrid: none of its tiers has the name 'C\*'\. Its tiers are:\n  Anna"
    ):
        corpora.load(f"{data}#tier=Anna,C*")


def test_one_name_in_all_files_is_plain(golden: Path) -> None:
    with pytest.raises(
        DataError, match=r"which of its tiers are the utterances(.|\n)*Sätze: .*9 of them .* in 3 files"
    ):
        corpora.load(str(golden))
    (golden / "voices.TextGrid").unlink()
    assert spans(corpora.load(str(golden))) == SAID * 3


def test_points_are_no_utterances(golden: Path) -> None:
    manifest = corpora.load(f"{golden / 'long.TextGrid'}#tier=tones,S*")
    assert spans(manifest) == SAID
    assert [(row.reason, str(row.where).rpartition(": ")[2]) for row in manifest.ledger] == [
        ("a point in time, which is no utterance", "tones, point 1"),
        ("a point in time, which is no utterance", "tones, point 2"),
    ]


def test_intervals_without_sound_are_in_the_ledger(golden: Path) -> None:
    (golden / "voices.TextGrid").unlink()
    (golden / "long.wav").unlink()
    manifest = corpora.load(str(golden))
    assert {row.audio.stem for row in manifest} == {"short", "utf16"}
    assert len(manifest.ledger) == 3
    assert all(row.reason.startswith("no sound file: ") and "called long" in row.reason for row in manifest.ledger)
    with pytest.raises(DataError, match=r"no annotation that can be used.*no sound file called long"):
        corpora.load(str(golden / "long.TextGrid"))


# Files of others.


def test_two_tiers_of_one_name_are_both_read(tmp_path: Path) -> None:
    tiers = [("IntervalTier", "a", [(0, 1, "one")]), ("IntervalTier", "a", [(1, 2, "two")])]
    data = grid(tmp_path / "x.TextGrid", *tiers)
    (tmp_path / "x.flac").touch()
    with pytest.raises(DataError, match="which of its tiers"):
        corpora.load(data)
    manifest = corpora.load(f"{data}#tier=a")
    assert [(row.text, row.speaker) for row in manifest] == [("one", None), ("two", None)]


def test_the_last_interval_needs_no_newline(tmp_path: Path) -> None:
    """As the library tgt writes; praatio alone would leave it out."""
    data = grid(tmp_path / "x.TextGrid", ("IntervalTier", "a", [(0, 1, "one"), (1, 9, "two")]), end="")
    (tmp_path / "x.wav").touch()
    assert spans(corpora.load(data)) == [(0, 1, "one"), (1, 9, "two")]


def test_impossible_spans_are_in_the_ledger(tmp_path: Path) -> None:
    entries = [(0, 1, "good"), (2, 2, "empty"), (3, 2, "backwards"), ("nan", 4, "none"), (5, "9" * 400, "long")]
    data = grid(tmp_path / "x.TextGrid", ("IntervalTier", "a", [*entries, (5, 6, ""), (6, 7, " ")]))
    (tmp_path / "x.wav").touch()
    manifest = corpora.load(data)
    assert spans(manifest) == [(0, 1, "good")]
    dropped = {str(row.where).rpartition(" ")[2]: row.reason.partition(":")[0] for row in manifest.ledger}
    assert dropped == dict.fromkeys("2345", "an empty or impossible span")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ooBinaryFile\x08TextGrid\x00\x01", r"is a binary TextGrid\. Open it in Praat and choose Save"),
        (b"", "does not begin as a TextGrid does"),
        (b'{"start": 0, "end": 1, "tiers": {}}', "does not begin as a TextGrid does"),
        (b"[" * 100_000, "does not begin as a TextGrid does"),
        (b'File type = "ooTextFile"\nObject class = "Pitch 1"\n', "does not begin as a TextGrid does"),
        (b'File type = "ooTextFile"\nObject class = "TextGrid"\n', r"is not laid out as a TextGrid \(\w+"),
        (
            (GOLDEN / "long.TextGrid").read_text(encoding="utf-8").replace("дім", "").encode("latin-1"),
            "is neither UTF-8",
        ),
        ((GOLDEN / "utf16.TextGrid").read_bytes()[:-1], "is neither UTF-8 nor UTF-16 text.*Text writing preferences"),
        ((GOLDEN / "utf16.TextGrid").read_bytes()[2:], "is neither UTF-8 nor UTF-16"),
        ((GOLDEN / "short.TextGrid").read_bytes().replace(b"\n6\n", b"\n7\n"), "is damaged or cut short"),
        ((GOLDEN / "short.TextGrid").read_bytes().replace(b"\n6\n", b"\n%s\n" % (b"9" * 9999)), "is damaged or cut"),
        ((GOLDEN / "long.TextGrid").read_bytes().replace(b"size = 3", b"size = 4"), "is damaged or cut short"),
        ((GOLDEN / "long.TextGrid").read_bytes().replace("дім".encode(), b"intervals [1]"), "is not laid out"),
        ((GOLDEN / "long.TextGrid").read_bytes().replace(b"xmin = 0 ", b"xmin = 2 "), "begins at 2 s"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.TextGrid").write_bytes(content)
    (tmp_path / "x.wav").touch()
    with pytest.raises(DataError, match=rf"x\.TextGrid: {message}"):
        corpora.load(str(tmp_path))


def test_other_beginnings_are_refused(tmp_path: Path) -> None:
    for begins in (-1.5, 2):
        data = grid(tmp_path / "x.TextGrid", ("IntervalTier", "a", [(2, 3, "one")]), begins=begins)
        with pytest.raises(DataError, match=rf"begins at {begins:g} s.*Shift times"):
            corpora.load(data)


@pytest.mark.parametrize("name", ["long", "short", "utf16"])
def test_a_file_that_was_cut_short_is_refused(golden: Path, name: str) -> None:
    path = golden / f"{name}.TextGrid"
    content = path.read_bytes()
    whole = len(content.rstrip().rstrip(b"\0\n"))  # the last line may lack its end
    for end in range(0, whole - 2, 19):
        path.write_bytes(content[:end])
        with pytest.raises(DataError, match=rf"{name}\.TextGrid: "):
            corpora.load(f"{path}#tier=S*")


@pytest.mark.parametrize("seed", range(60))
def test_flipped_bytes_end_in_a_manifest_or_one_message(golden: Path, seed: int) -> None:
    draw = random.Random(seed)
    for name in ("long", "short", "utf16"):
        path = golden / f"{name}.TextGrid"
        content = bytearray(path.read_bytes())
        for _ in range(draw.choice((1, 2, 20))):
            content[draw.randrange(len(content))] = draw.choice(b'aT0129"[-.\n\xff\x00')
        path.write_bytes(content)
        try:
            manifest = corpora.load(f"{path}#type=interval")
            assert len({row.id for row in manifest}) == len(manifest)
        except DataError as error:
            message = str(error)
            assert message.startswith(str(golden))


@pytest.mark.parametrize(
    "filler", ["e", "-", " ", "\n", '""', '"IntervalTier"', '"IntervalTier" "', "intervals [", "0 "]
)
def test_long_damage_is_read_in_time(tmp_path: Path, filler: str) -> None:
    start = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n9\n<exists>\n1\n"IntervalTier" "a" '
    (tmp_path / "x.TextGrid").write_text(start + filler * 5000, encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.TextGrid: "):
        corpora.load(str(tmp_path))
