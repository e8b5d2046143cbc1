"""Small corpora as other programs and packages have them, with faults, and what each holds counted without us."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from pieces import SWAHILI, below, lines_of, sound, sounds, text
from pyarrow import ipc, parquet

GOLDEN = Path(__file__).parent / "golden"

# What other programs wrote.


def kaldi(folder: Path) -> None:
    shutil.copytree(GOLDEN / "kaldi", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    sounds(folder / "wav", "day1 day2 day3", seconds=1.0)
    with (folder / "segments").open("a") as segments:
        segments.write("ben-9.00 day2 0.9 0.3\neva-0.00 day4 0.0 0.5\n")
    with (folder / "text").open("a") as texts:
        texts.write("ben-9.00 karibu\neva-0.00 gone\nzoe-0.00 unheard\n")
    with (folder / "wav.scp").open("a") as recordings:
        recordings.write("day3 wav/day3.wav\n")


def kaldi_splits(folder: Path) -> None:
    for number, split in enumerate(("train", "dev", "test", "extra")):
        sounds(folder, f"wav/{split}1 wav/{split}2")
        speaker = f"s{number}"
        text(folder / "data" / split / "wav.scp", *(f"{speaker}-{n} ../../wav/{split}{n}.wav" for n in (1, 2)))
        text(folder / "data" / split / "text", f"{speaker}-1 {SWAHILI[number]}", f"{speaker}-3 unheard")
        text(folder / "data" / split / "utt2spk", *(f"{speaker}-{n} {speaker}" for n in (1, 2)))


def kaldi_utterances(folder: Path) -> int:
    def keys(path: Path, column: int = 0) -> set[str]:
        return {line.split()[column] for line in lines_of(path)} if path.is_file() else set()

    total = 0
    for place in (path.parent for path in folder.rglob("wav.scp")):
        recordings, segments = keys(place / "wav.scp"), keys(place / "segments")
        uncut = recordings - keys(place / "segments", 1) if segments else set()
        total += len((segments or recordings) | keys(place / "text")) + len(uncut)
    return total


def elan(folder: Path) -> None:
    shutil.copytree(GOLDEN / "elan", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    sound(folder / "Aufnahmen/Gespräch 1.wav", 1, 1.0)
    sound(folder / "sound/story.wav", 2, 2.0)


def elan_annotations(folder: Path) -> int:
    tiers = [one for path in folder.rglob("*.eaf") for one in ElementTree.parse(path).iterfind("TIER")]
    asked = [one for one in tiers if one.get("LINGUISTIC_TYPE_REF") == "utterance"]
    return sum(len(one.findall("ANNOTATION/*")) for one in asked)


def praat(folder: Path) -> None:
    for name in ("long", "short"):
        shutil.copy(GOLDEN / "praat" / f"{name}.TextGrid", folder)
    sounds(folder, "long", seconds=1.0)


def praat_intervals(folder: Path) -> int:
    """Quoted values that are not empty between the name of the tier and that of the next, without the quotes' pairs."""
    total = 0
    for path in folder.rglob("*.TextGrid"):
        tier = path.read_text(encoding="utf-8").split('"Sätze"')[1].split('"TextTier"')[0].split('"IntervalTier"')[0]
        total += len([value for value in re.findall(r'"((?:[^"]|"")*)"', tier) if value.strip()])
    return total


def lhotse(*names: str, packed: bool = False) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for name in names:
            content = (GOLDEN / "lhotse" / name).read_bytes()
            (folder / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(content) if packed else content)
        sounds(folder, "wav/mono wav/stereo", seconds=2.0)

    return build


def lhotse_supervisions(folder: Path) -> int:
    """By the one field that each supervision has; a cut without any is given too."""
    lines = [line for path in folder.glob("*.jsonl*") if "recordings" not in path.name for line in lines_of(path)]
    return sum(max(1, line.count('"recording_id"')) for line in lines)


def hub(form: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        from datasets import Dataset, DatasetDict, Features, Value

        kinds = Features({"audio": {"bytes": Value("binary"), "path": Value("string")}, "sentence": Value("string")})

        def part(*said: str | None) -> Dataset:
            waves = [sound(folder / "one.wav", 10 * len(said) + place).read_bytes() for place in range(len(said))]
            heard = [{"bytes": wave, "path": "clips/x.wav"} for wave in waves]
            heard[-1] = {"bytes": None, "path": "clips/far.wav"}
            return Dataset.from_dict({"audio": heard, "sentence": [*said]}, kinds)

        parts = {"train": part("habari", None, "karibu", "far"), "validation": part("ndiyo", "far"), "other": part("x")}
        if form == "saved":
            DatasetDict(parts).save_to_disk(str(folder))
        for name, rows in parts.items() if form == "parquet" else ():
            rows.to_parquet(str(folder / f"{name}-00000-of-00001.parquet"))
        (folder / "one.wav").unlink()

    return build


def hub_rows(folder: Path) -> int:
    saved = sum(ipc.open_stream(path).read_all().num_rows for path in folder.rglob("*.arrow"))
    return saved + sum(parquet.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))


# Debian's packages.


def asterisk_voice(folder: Path) -> None:
    keys = "activated hello beep digits/1 letters/a untold"
    lines = ["; Core Sounds", "", "activated: Активирован.", "hello: Привет", "digits/1: один", "letters/a: а"]
    lines += ["gone: Нет", "number: 5 минут", "beep: сигнал"]
    path = folder / "usr/share/doc/asterisk-core-sounds-ru/core-sounds-ru.txt.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    sounds(folder / "usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU", keys)


def asterisk_keys(folder: Path) -> int:
    (path,) = folder.rglob("*.txt.gz")
    voice = folder / "usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU"
    keys = {line.partition(":")[0] for line in lines_of(path) if ":" in line}
    return len(keys | {name.removesuffix(".wav") for name in below(voice, ".wav")})


def stamps(folder: Path) -> None:
    home = folder / "usr/share/tuxpaint/stamps"
    for name, said in (("cat", "Кошка."), ("dog", ""), ("birds/hen", "Курица."), ("gone", "Нет.")):
        text(home / f"{name}.txt", "An English line.", f"ru.utf8={said}", "fr.utf8=Un mot.")
    sounds(home, "cat_desc_ru dog_desc_ru birds/hen_desc_ru fox_desc_ru cat_ru cat", ".ogg", 1.0)


def stamps_lines(folder: Path) -> int:
    home = folder / "usr/share/tuxpaint/stamps"
    told = {name[: -len(".txt")] for name in below(home, ".txt") if "ru.utf8=" in (home / name).read_text("utf-8")}
    heard = {name.removesuffix("_ru.ogg") for name in below(home, "_ru.ogg")}
    described = {name.removesuffix("_desc") for name in heard if name.endswith("_desc")}
    return len(told | described) + sum(not name.endswith("_desc") for name in heard)


def dialogues(folder: Path) -> None:
    game = folder / "usr/share/games/fillets-ng"

    def said(name: str, line: str) -> str:
        return f'\ndialogId("{name}", "font_small", "English.")\ndialogStr("{line}")\n'

    script = said("m-ahoj", "Ahoj!") + said("v-kde", "Kde jsi?") + said("m-gone", "Nic.") + said("m-pet", "Mám 5 ryb.")
    text(game / "script/cellar/dialogs_cs.lua", script)
    text(game / "script/wreck/dialogs_cs.lua", said("m-ahoj", "Nazdar."))
    text(game / "script/wreck/code.lua", 'addm(1, "m-ahoj")')
    names = "cellar/cs/m-ahoj cellar/cs/v-kde cellar/cs/m-pet wreck/cs/m-ahoj wreck/cs/x cellar/nl/m-ahoj share/bubble"
    sounds(game / "sound", names, ".ogg", 1.0)


def dialogues_lines(folder: Path) -> int:
    game = folder / "usr/share/games/fillets-ng"
    told = {
        f"{name.split('/')[0]}/{key}"
        for name in below(game / "script", "dialogs_cs.lua")
        for key in re.findall(r'dialogId\("([^"]+)"', (game / "script" / name).read_text("utf-8"))
    }
    heard = {name.replace("/cs/", "/").removesuffix(".ogg") for name in below(game / "sound", ".ogg") if "/cs/" in name}
    return len(told | heard)
