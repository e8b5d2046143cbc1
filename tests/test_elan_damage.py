"""Damaged and hostile ELAN files end in a manifest or one message, and lose no annotation silently."""

from __future__ import annotations

import random
from pathlib import Path
from xml.etree import ElementTree

import pytest
from eaf import GOLDEN, aligned, eaf, recorded, tier

from speechtransfer import corpora
from speechtransfer.errors import DataError


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return recorded(tmp_path)


def utterances(path: Path) -> int:
    """How many annotations the tiers of the linguistic type ``utterance`` have, as ElementTree reads them."""
    tiers = ElementTree.parse(path).iterfind("TIER[@LINGUISTIC_TYPE_REF='utterance']")
    return sum(len(one.findall("ANNOTATION/*")) for one in tiers)


def accounted(data: Path) -> str:
    """The message of the one error, or nothing where each annotation given is a row or dropped."""
    try:
        manifest = corpora.load(f"{data}#type=utterance")
    except DataError as error:
        return str(error)
    assert len(manifest) + len(manifest.ledger) == sum(map(utterances, data.rglob("*.eaf")))
    assert len({row.id for row in manifest}) == len(manifest)
    return ""


@pytest.mark.parametrize("end", range(0, len((GOLDEN / "talk.eaf").read_bytes()), 53))
def test_a_file_that_was_cut_short_is_refused(golden: Path, end: int) -> None:
    path = golden / "eaf/talk.eaf"
    path.write_bytes(path.read_bytes()[:end])
    assert "talk.eaf: is not well-formed XML" in accounted(golden)


@pytest.mark.parametrize("seed", range(150))
def test_flipped_bytes_end_in_a_manifest_or_one_message(golden: Path, seed: int) -> None:
    draw = random.Random(seed)
    path = golden / "eaf/talk.eaf"
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 2, 20))):
        # Letters and digits for the like keep the XML well-formed, and its meaning is damaged.
        content[draw.randrange(len(content))] = draw.choice(b'aT0129"<-\xff\x00')
    path.write_bytes(content)
    message = accounted(golden)
    assert not message or message.startswith(str(golden))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("xsi:noName", "xsi:otherName", r"is not laid out as an ELAN file \(KeyError.*Open and save it in ELAN"),
        ('TIME_VALUE="0"', 'TIME_VALUE="zero"', "is not laid out as an ELAN file"),
        ('TIME_VALUE="0"', f'TIME_VALUE="{"9" * 5000}"', "is not laid out as an ELAN file"),
        ("<ANNOTATION_VALUE>a city</ANNOTATION_VALUE>", "", "is not laid out as an ELAN file"),
        ('ANNOTATION_ID="a3"', 'ANNOTATION_ID="a2"', "holds 7 annotations, of which 6 can be told apart"),
        ("utterance@B", "utterance@A", "holds 4 tiers, of which 3 can be told apart"),
        ("ANNOTATION_DOCUMENT", "DOCUMENT", "is XML, but no ELAN file"),
        ('"UTF-8"', '"shift-jis"', "is not well-formed XML"),
        ("UTF-8", "no-such-code", "is not well-formed XML"),
        ("<HEADER>", "<A>" * 50_000, "is not well-formed XML"),
        ("<HEADER>", f"<HEADER>{'<A>' * 50_000}{'</A>' * 50_000}", ""),
        ("Schöne", f"Sch{'ö' * 100_000}ne", ""),
    ],
)
def test_files_that_only_look_like_elans(golden: Path, old: str, new: str, message: str) -> None:
    path = golden / "eaf/talk.eaf"
    text = path.read_text(encoding="utf-8").replace("'UTF-8'", '"UTF-8"')
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    if message:
        with pytest.raises(DataError, match=message):
            corpora.load(str(golden))
    else:
        assert len(corpora.load(str(golden))) == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_before_they_grow(tmp_path: Path, encoding: str) -> None:
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">' for n in range(9))
    path = Path(eaf(tmp_path / "a.eaf", tier("t", aligned("a1", 0, 9, "&e8;")), before=f"<!DOCTYPE x [{bomb}]>"))
    path.write_text(path.read_text(encoding="utf-8").replace("UTF-8", encoding), encoding=encoding)
    with pytest.raises(DataError, match=r"a\.eaf: declares a document type"):
        corpora.load(str(tmp_path))


def test_what_is_not_there(tmp_path: Path) -> None:
    for data, message in ((tmp_path / "no.eaf", "no such file or folder"), (tmp_path, r"ends in \.eaf")):
        with pytest.raises(DataError, match=message):
            corpora.load(str(data), "elan")
    eaf(tmp_path / "a.eaf")
    with pytest.raises(DataError, match="It holds no tier at all"):
        corpora.load(str(tmp_path))
