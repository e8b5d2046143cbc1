"""Fish Fillets' dialogues: Lua as translators write it, and every line and sound accounted for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import dropped

from speechtransfer import audio, corpora
from speechtransfer.corpora import fillets
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, ledger_counts

CASTS = {cast.code: cast for cast in fillets.CASTS}


class Game:
    """The packages as dpkg-deb unpacks them, of a few levels."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "usr/share/games/fillets-ng"
        self.count = 0

    def script(self, name: str, source: str) -> None:
        path = self.folder / f"script/{name}.lua"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")

    def sound(self, name: str, pitch: float | None = None, seconds: float = 4.0) -> None:
        self.count += 1
        path = self.folder / f"sound/{name}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = 9000 * np.sin(np.arange(round(seconds * 8000)) * (pitch or 1000 + self.count) / 8000)
        soundfile.write(path, wave.astype(np.int16), 8000, format="WAV")

    def read(self, code: str = "cs") -> Manifest:
        return fillets.read_dialogues(self.root, CASTS[code])


@pytest.fixture
def game(tmp_path: Path) -> Game:
    return Game(tmp_path)


def said(identity: str, text: str, font: str = "font_small") -> str:
    return f'\ndialogId("{identity}", "{font}", "English.")\ndialogStr("{text}")\n\n'


def texts(manifest: Manifest) -> dict[str, str | None]:
    return {row.audio.stem: row.text for row in manifest}


def test_a_clip_says_the_line_of_its_level_and_name(game: Game) -> None:
    game.script("cellar/dialogs_cs", said("m-ahoj", "Ahoj!") + said("v-kde", "Kde jsi?", "font_big"))
    game.script("wreck/dialogs_cs", said("m-ahoj", "Nazdar."))
    game.script("cellar/dialogs_nl", said("m-ahoj", "Hallo!"))
    game.script("cellar/code", 'addm(1, "m-ahoj")')
    for name in ("cellar/cs/m-ahoj", "cellar/cs/v-kde", "wreck/cs/m-ahoj", "cellar/nl/m-ahoj", "cellar/en/m-ahoj"):
        game.sound(name)
    game.sound("share/sp-bubles")
    manifest = game.read()
    assert [(row.audio.parts[-3], row.text) for row in manifest] == [
        ("cellar", "Ahoj!"),
        ("cellar", "Kde jsi?"),
        ("wreck", "Nazdar."),
    ]
    row = manifest[1]
    assert (row.speaker, row.language, row.domain, row.split) == ("fillets-cs-big", "ces", "fillets", None)
    assert not manifest.ledger, "other languages and effects are not this corpus's"
    assert [(row.text, row.speaker, row.language) for row in game.read("nl")] == [("Hallo!", "fillets-nl-small", "nld")]


def test_lua_as_translators_write_it(game: Game) -> None:
    source = r"""
-- Init: dialogId("not-this", "font_big", "a comment")
--[[ dialogStr("nor this,
over two lines") ]]
dialogId('single', "font_big", 'It\'s "fine".')
dialogStr('Je to "dobré".')
dialogId("double", "font_big",
"It is -- fine.") dialogStr(
"Říkám -- \"dobré\".") -- dialogStr("too late")
dialogId("joined", "font_big", "a".."b")
dialogStr("Jedna, " ..
    "dvě," .. '\ntři.')
dialogId("long", "font_big", "c")
dialogStr([[Dlouhý "text" \ zde.]])
dialogId("slash", "font_big", "d") dialogStr("Tři\/čtyři, C:\\WINDOWS")
dialogId("code", "font_big", "e") dialogStr("Tady je \065.")
"""
    game.script("lua/dialogs_cs", source)
    for name in ("single", "double", "joined", "long", "slash", "code"):
        game.sound(f"lua/cs/{name}")
    manifest = game.read()
    assert texts(manifest) == {
        "double": 'Říkám -- "dobré".',
        "joined": "Jedna, dvě, tři.",
        "single": 'Je to "dobré".',
    }
    assert {name: reason.split(":")[0] for name, reason in dropped(manifest).items()} == {
        "long.ogg": "a symbol or web address in the text, read out as words",
        "slash.ogg": "a symbol or web address in the text, read out as words",
        "code.ogg": "digits in the text, which are read out as words",
    }
    assert dropped(manifest)["slash.ogg"].endswith("Tři/čtyři, C:\\WINDOWS")
    assert manifest.ledger[0].where == "lua/dialogs_cs.lua:16"


def test_every_line_and_every_sound_of_the_language_is_accounted_for(game: Game) -> None:
    source = said("used", "Ano.") + said("used", "Ne.") + said("mute", "Ticho.") + said("empty", "")
    source += 'dialogId("cut", "font_big", "x")\n' + said("computed", "Dobře.").replace('"Dobře."', 'text("Dobře.")')
    source += 'dialogStr("Ničí.")\ndialogId(name, "font_big", "y") dialogStr("Ničí.")\ndialogId("last", "", "z")'
    game.script("wc/dialogs_cs", source)
    for name in ("used", "empty", "cut", "computed", "stray"):
        game.sound(f"wc/cs/{name}")
    manifest = game.read()
    assert texts(manifest) == {"used": "Ano."}
    assert ledger_counts(manifest.ledger) == {
        "no line in the transcript": 3,
        "a text without a dialogue, or none in plain words": 3,
        "a dialogue without a text": 2,
        "an empty line in the transcript": 1,
        "no sound file for the line": 1,
        "a second line for the same sound file": 1,
    }
    assert {row.audio for row in manifest.ledger if row.reason == "a dialogue without a text"} == {"wc/cut", "wc/last"}


def test_lines_that_any_level_may_use(game: Game) -> None:
    game.script("share/bore_dialogs_cs", said("ob-m-nuda", "To je nuda."))
    game.script("share/shout_dialogs_cs", said("sp-shout", "Hurá!"))
    game.script("share/border_dialogs_cs", said("cil", "Ještě ne."))
    game.script("briefcase/brief_dialogs_cs", said("kd-uvod", "Dobrý den, ryby.", "font_white"))
    game.script("ending/demo_dialogs_cs", said("poster", ""))
    for name in (
        "share/borejokes/cs/ob-m-nuda",
        "share/border/cs/sp-shout",
        "share/border/cs/cil",
        "briefcase/cs/kd-uvod",
    ):
        game.sound(name)
    manifest = game.read()
    assert len(manifest) == 4 and manifest.speakers == {"fillets-cs-small", "fillets-cs-white"}
    assert [(row.audio, row.reason) for row in manifest.ledger] == [("ending/poster", "no sound file for the line: ")]


def test_who_speaks_is_not_known_of_two_together_or_of_no_one(game: Game) -> None:
    game.script("ending/dialogs_cs", said("both", "Blahopřejeme!", "font_both") + said("none", "Aha.", ""))
    game.sound("ending/cs/both")
    game.sound("ending/cs/none")
    assert [row.speaker for row in game.read()] == [None, None]


def test_lines_that_are_not_what_is_said(game: Game) -> None:
    game.script(
        "corridor/dialogs_cs",
        said("copy", "Karamba.") + said("mixed", "Подожди, červená.") + said("short", "Jeden ze sedmi divů světa."),
    )
    game.script("cabin/dialogs_cs", said("copy", "Karamba!") + said("good", "Pozor."))
    game.sound("cabin/cs/copy", pitch=300)
    game.sound("cabin/cs/good", pitch=301)
    game.sound("corridor/cs/copy", pitch=300)
    game.sound("corridor/cs/mixed")
    game.sound("corridor/cs/short", seconds=1.2)
    manifest = game.read()
    assert [(row.audio.parts[-3], row.text) for row in manifest] == [("cabin", "Karamba!"), ("cabin", "Pozor.")]
    assert dropped(manifest) == {
        "copy.ogg": "the same sound as another clip: copy.ogg",
        "mixed.ogg": "Cyrillic letters in a Latin text: Подожди, červená.",
        "short.ogg": "the clip is too short for its text: 25 characters in 1.20 s: Jeden ze sedmi divů světa.",
    }


def test_a_package_that_cannot_be_read(game: Game) -> None:
    with pytest.raises(DataError, match="cannot be listed"):
        game.read()
    game.script("wc/dialogs_cs", said("a", "Ano."))
    (game.folder / "sound").mkdir()
    with pytest.raises(DataError, match="no clip can be used"):
        game.read()
    (game.folder / "script/wc/dialogs_cs.lua").write_bytes(b'dialogStr("\xe8")')
    with pytest.raises(DataError, match=r"dialogs_cs\.lua: cannot be read"):
        game.read()


@pytest.mark.network
@pytest.mark.parametrize(
    ("code", "clips", "minutes", "given", "speakers"),
    [("cs", 1783, 101.7, 2060, 25), ("nl", 1603, 94.5, 1982, 2)],
)
def test_real_packages(code: str, clips: int, minutes: float, given: int, speakers: int) -> None:
    manifest = corpora.load(f"debian:fillets-{code}")
    assert len(manifest) == clips and len(manifest.speakers) == speakers
    assert len(manifest) + len([row for row in manifest.ledger if row.action == "dropped"]) == given
    empty = {"zd1-m-cesta", "zav-v-sto"}  # two Dutch files hold no samples, which is for the doctor to say
    seconds = sum(audio.probe(row.audio).seconds for row in manifest if row.audio.stem not in empty or code != "nl")
    assert seconds / 60 == pytest.approx(minutes, abs=0.05)
