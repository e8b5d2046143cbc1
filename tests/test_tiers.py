"""Tiers are chosen after DATA's path, by name or type, and a message lists them where nobody can choose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clips import clip
from eaf import aligned, eaf, medium, tier

from speechtransfer import corpora
from speechtransfer.corpora.spans import Sound, manifest_of
from speechtransfer.corpora.tiers import Annotation, Choice, Tier, choose, holds, parted, transcripts
from speechtransfer.errors import DataError


def layer(name: str, *texts: str, type: str = "speech", file: str = "a", speaker: str | None = None) -> Tier:
    """A tier whose annotations last a second each."""
    said = tuple(Annotation(f"{file}#{name}{at}", text, float(at), at + 1.0) for at, text in enumerate(texts))
    return Tier(Path(file), name, type, said, speaker=speaker)


# The choice after a path.


@pytest.mark.parametrize(
    ("data", "path", "choice"),
    [
        ("folder", "folder", None),
        ("folder#tier=words", "folder", Choice("tier", ("words",))),
        ("a b/c.eaf#type=ortho, phon*", "a b/c.eaf", Choice("type", ("ortho", "phon*"))),
        ("/x/#tier=a#b=c", "/x/", Choice("tier", ("a#b=c",))),
        ("x#1#tier=a,,b,", "x#1", Choice("tier", ("a", "b"))),
        ("x#tier=", "x", Choice("tier", ())),
        ("x#speaker=a", "x#speaker=a", None),
        ("#tier=a", "#tier=a", None),
        ("debian:asterisk-ru", "debian:asterisk-ru", None),
    ],
)
def test_a_choice_may_follow_a_path(data: str, path: str, choice: Choice | None) -> None:
    assert parted(data) == (path, choice)


def test_a_path_that_exists_as_it_stands_has_no_choice(tmp_path: Path) -> None:
    odd = tmp_path / "x#tier=a"
    assert parted(str(odd)) == (str(tmp_path / "x"), Choice("tier", ("a",)))
    odd.mkdir()
    assert parted(str(odd)) == (str(odd), None)
    assert parted(f"{odd}#type=b") == (str(odd), Choice("type", ("b",)))


@pytest.mark.parametrize(
    ("by", "pattern", "names"),
    [
        ("tier", "ref@A", ["ref@A"]),
        ("tier", "ref@*", ["ref@A", "ref@B"]),
        ("tier", "REF@A", []),
        ("tier", "tx [1]", ["tx [1]"]),
        ("tier", "tx?[[]1]", ["tx [1]"]),
        ("tier", "Sa\u0308tze", ["Sätze"]),
        ("tier", "*", ["ref@A", "ref@B", "tx [1]", "Sätze"]),
        ("type", "id", ["ref@A", "ref@B"]),
        ("type", "o*o", ["tx [1]", "Sätze"]),
        ("type", "ref@A", []),
        ("tier", "*e" * 40 + "x", []),
    ],
)
def test_patterns_fit_names_or_types(by: str, pattern: str, names: list[str]) -> None:
    tiers = [layer("ref@A", "1", type="id"), layer("ref@B", type="id"), layer("tx [1]", type="ortho")]
    tiers.append(layer("Sätze", "Ja", type="ortho"))
    if names:
        chosen = choose(f"data#{by}={pattern}", tiers, lambda tiers: [])
        assert [one.name for one in chosen] == names
    else:
        what = "name" if by == "tier" else "type"
        with pytest.raises(
            DataError, match=rf"data: none of its tiers has the {what} '.*'\. Its tiers are:\n  ref@A: type id"
        ):
            choose(f"data#{by}={pattern}", tiers, lambda tiers: tiers)


def test_every_pattern_fits_something_or_is_refused() -> None:
    tiers = [layer("a", "1"), layer("b", "2")]
    with pytest.raises(DataError, match="none of its tiers has the name 'c'"):
        choose("data#tier=a,c", tiers, lambda tiers: tiers)
    with pytest.raises(DataError, match=r"names no tier after the '='\. Its tiers are"):
        choose("data#tier= ,", tiers, lambda tiers: tiers)
    assert choose("data#tier=a,?", tiers, lambda tiers: []) == tiers


def test_the_list_counts_tiers_alike_once_and_ends_somewhere() -> None:
    tiers = [layer("t", "1", "", file=file, speaker="Ann") for file in "abc"]
    tiers += [layer(f"more{number}") for number in range(60)]
    with pytest.raises(DataError) as caught:
        choose("data", tiers, lambda tiers: [])
    lines = str(caught.value).splitlines()
    assert "'data#tier=NAME'" in lines[0] and "'data#type=TYPE'" in lines[0]
    assert lines[1] == "  t: type speech, at the top, of Ann, 6 annotations, 3 of them with text, in 3 files"
    assert len(lines) == 52 and lines[-1] == "  and 11 more"


# What DATA is.


def test_files_are_found_by_their_ending_anywhere_below(tmp_path: Path) -> None:
    for name in ("a/b/X.EAF", ".hidden/c.eaf", "a/.d.eaf", "e.eaf.001", "a/2.eaf", "a/10.eaf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert holds(str(tmp_path), ".eaf") and holds(f"{tmp_path}/a#tier=x", ".eaf")
    assert holds(str(tmp_path / "a/b/X.EAF"), ".eaf") and not holds(str(tmp_path / "e.eaf.001"), ".eaf")
    assert not holds(str(tmp_path), ".textgrid") and not holds(str(tmp_path / "no"), ".eaf")
    assert not holds(str(tmp_path / ".hidden/no"), ".eaf")
    base, files = transcripts(str(tmp_path), ".eaf")
    assert [path.relative_to(base).as_posix() for path in files] == ["a/2.eaf", "a/10.eaf", "a/b/X.EAF"]


def test_a_choice_is_kept_where_data_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPEECHTRANSFER_DATA", f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}")
    with pytest.raises(DataError, match=r"talks#tier=a: no such file or folder, nor one under \$SPEECHTRANSFER_DATA"):
        corpora.load("talks#tier=a")
    first, second = tier("a", aligned("a1", 0, 9, "one")), tier("b", aligned("a2", 0, 9, "two"))
    eaf(tmp_path / "two/talks/x.eaf", first, second, media=medium("x.wav"))
    clip(tmp_path / "two/talks/x.wav")
    assert corpora.detect("talks#tier=a") == "elan"
    assert [row.text for row in corpora.load("talks#tier=b")] == ["two"]
    eaf(tmp_path / "talks/x.eaf", second)
    clip(tmp_path / "talks/a.wav")
    assert [row.audio for row in corpora.load("talks#tier=b")] == [tmp_path / "talks/a.wav"]
    clip(tmp_path / "one/talks#tier=b/yes/1.wav")
    clip(tmp_path / "talks#tier=b/no/1.wav")
    assert [row.label for row in corpora.load("talks#tier=b")] == ["no"], "a name may be odd"


def test_a_choice_after_other_data_is_no_path(tmp_path: Path) -> None:
    clip(tmp_path / "words/yes/1.wav")
    with pytest.raises(DataError, match="words#tier=a: is none of the formats"):
        corpora.detect(f"{tmp_path}/words#tier=a")
    eaf(tmp_path / "words/yes/1.eaf", tier("a", aligned("a1", 0, 9)), media=medium("1.wav"))
    assert corpora.detect(f"{tmp_path}/words") == "elan"
    (tmp_path / "words/metadata.csv").write_text("file_name,text\nyes/1.wav,yes\n")
    assert corpora.detect(f"{tmp_path}/words") == "table"
    assert corpora.detect(f"{tmp_path}/words#tier=a") == "elan"


# What annotations become.


def test_all_annotations_are_rows_or_dropped_in_the_order_of_files_and_times() -> None:
    tiers = [
        layer("x", "one", "", "two", file="b"),
        layer("y", "one", "zwei", "zwei", file="b"),
        layer("z", "", file="a"),
    ]
    manifest = manifest_of("data", tiers, lambda file: Sound(Path("/") / file.with_suffix(".wav"), 0.5), "eng")
    assert [(row.id, row.text) for row in manifest] == [("/b.wav#0.5-1.5", "one"), ("/b.wav#1.5-2.5", "zwei")]
    assert [(row.where, row.reason.partition(":")[0]) for row in manifest.ledger] == [
        ("b#x1", "no text in the annotation"),
        ("a#z0", "no text in the annotation"),
        ("b#y0", "the same stretch and text as another annotation"),
        ("b#x2", "the same stretch has different texts"),
        ("b#y2", "the same stretch has different texts"),
    ]
    with pytest.raises(DataError, match=r"^data: holds no annotation that can be used\.$"):
        manifest_of("data", [layer("x")], lambda file: Sound(file), None)


def test_no_command_waits_for_the_libraries_of_others() -> None:
    others = {"pympi", "praatio", "srt", "webvtt"}
    code = f"import sys, speechtransfer.cli, speechtransfer.corpora; print({others} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
