"""Fish Fillets' dialogues, unpacked -> Manifest: acted speech, two leads and in Czech some minor characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from speechtransfer.corpora.contract import Line, Packaged, is_sound, match, text_fault, too_fast, walk
from speechtransfer.errors import DataError
from speechtransfer.files import read_content
from speechtransfer.manifest import LedgerRow, Manifest, Utterance


@dataclass(frozen=True)
class Cast:
    """Who speaks in one language.

    Attributes:
        code: the language in the names of files and folders.
        language: ISO 639-3.
        fastest: characters a second that no actor exceeds; a line that would is cut short in its clip.
    """

    code: str
    language: str
    fastest: float

    def speaker(self, font: str) -> str | None:
        """A character by the font of its lines; None where none or several speak.

        Characters are counted as speakers, though one actor may play several of them.
        """
        return None if font in ("", "font_both") else f"fillets-{self.code}-{font.removeprefix('font_')}"


CASTS = (Cast("cs", "ces", 20), Cast("nl", "nld", 23))

# Lines that any level may use: the first part of their file's name -> the folder of their sound.
_SHARED = {"black_": "blackjokes", "bore_": "borejokes", "border_": "border", "shout_": "border", "intro_": "intro"}

_TOKEN = re.compile(
    r"""(?P<comment> --\[\[.*?\]\] | --[^\n]* )
      | (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \[\[.*?\]\] )
      | (?P<name> [A-Za-z_]\w* )
      | (?P<sign> \.\. | \S )""",
    re.VERBOSE | re.DOTALL,
)
_WHITE = {"n": "\n", "r": "\r", "t": "\t"}


def read_dialogues(root: Path, cast: Cast) -> Manifest:
    """Make a manifest of unpacked packages.

    ``dialogId("id", "font", "English")`` and then ``dialogStr("text")`` in a level's script give the line
    that ``sound/<level>/<code>/<id>.ogg`` says. Rows have no split; a row's level is the folder above its
    language's. Each line of the language and each of its sound files is either used or in the ledger.

    Args:
        root: the folder that the packages were unpacked into; holds ``usr``.
        cast: of which language.

    Raises:
        DataError: the game is not there, a script cannot be read, or no clip can be used.
    """
    game = root / "usr/share/games/fillets-ng"
    sounds = game / "sound"
    clips = {
        path: f"{path.parents[1].relative_to(sounds).as_posix()}/{path.stem}"
        for path in walk(sounds)
        if is_sound(path) and path.parent.name == cast.code
    }
    lines, ledger = _lines(game / "script", cast.code, root)

    def reason_to_drop(path: Path, line: Line) -> str | None:
        return text_fault(line.text, cast.language) or too_fast(path, line.text, cast.fastest)

    def row(path: Path, line: Line) -> Utterance:
        speaker = cast.speaker(line.voice)
        level = clips[path].rpartition("/")[0]  # no dialogue is cut in two
        return Utterance(path, None, None, line.text, None, speaker, cast.language, "fillets", group=level)

    manifest = match(clips, lines, reason_to_drop, row)
    if not len(manifest):
        raise DataError(f"{game}: no clip can be used. Remove {root} and try again.")
    return Manifest(manifest.rows, (*manifest.ledger, *ledger))


def _lines(scripts: Path, code: str, root: Path) -> tuple[dict[str, Line], list[LedgerRow]]:
    """The lines of one language by ``<level>/<id>``, and ledger rows for calls that give none."""
    lines: dict[str, Line] = {}
    ledger = []
    ending = f"dialogs_{code}.lua"
    for path in (one for one in walk(scripts) if one.name.endswith(ending)):
        level = path.parent.relative_to(scripts).as_posix()
        if level == "share":
            kind = path.name.removesuffix(ending)
            level = f"share/{_SHARED.get(kind, kind)}"
        try:
            source = read_content(path).decode("utf-8-sig")
        except (DataError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error}). Remove {root} and try again.") from error
        where, key, font = "", "", ""
        for name, arguments, number in _calls(source):
            before, where = where, f"{path.parent.name}/{path.name}:{number}"
            first, second, *_ = *arguments, None, None
            if name == "dialogId":
                if key:
                    ledger.append(LedgerRow(key, "a dialogue without a text", where=before))
                key, font = "" if first is None else f"{level}/{first}", second or ""
            elif not key or first is None:
                ledger.append(LedgerRow(key or level, "a text without a dialogue, or none in plain words", where=where))
                key = ""
            else:
                line = Line(" ".join(first.split()), where, font)
                if lines.setdefault(key, line) is not line:
                    ledger.append(LedgerRow(key, f"a second line for the same sound file: {line.text}", where=where))
                key = ""
        if key:
            ledger.append(LedgerRow(key, "a dialogue without a text", where=where))
    return lines, ledger


def _calls(source: str) -> Iterator[tuple[str, list[str | None], int]]:
    """Each call of ``dialogId`` and ``dialogStr`` in Lua source: its name, arguments and line number.

    An argument is a string, or several joined by ``..``; None stands for any other expression.
    """
    tokens = [token for token in _TOKEN.finditer(source) if token.lastgroup != "comment"]
    index = 0
    while index < len(tokens) - 1:
        call, following = tokens[index], tokens[index + 1]
        index += 1
        if call["name"] not in ("dialogId", "dialogStr") or following["sign"] != "(":
            continue
        arguments: list[str | None] = []
        parts: list[str] = []
        plain, depth = True, 0
        for token in tokens[index:]:
            index += 1
            sign = token["sign"]
            depth += (sign == "(") - (sign == ")")
            if not depth or (depth == 1 and sign == ","):
                arguments.append("".join(parts) if plain and parts else None)
                plain, parts = True, []
                if not depth:
                    break
            elif token["string"] is not None:
                parts.append(_unquoted(token["string"]))
            elif sign not in ("..", "(") or depth > 1:
                plain = False
        yield call["name"], arguments, source.count("\n", 0, call.start()) + 1


def _unquoted(literal: str) -> str:
    r"""What a Lua string stands for. Codes such as ``\065`` stay as they are, and are seen as digits."""
    if literal.startswith("[["):
        return literal[2:-2]
    return re.sub(r"\\([^\d])", lambda code: _WHITE.get(code[1], code[1]), literal[1:-1], flags=re.DOTALL)


CORPORA = {
    f"fillets-{cast.code}": Packaged(
        ("fillets-ng-data", f"fillets-ng-data-{cast.code}"), cast.language, partial(read_dialogues, cast=cast)
    )
    for cast in CASTS
}
"""By the name behind ``debian:``."""
