"""A small corpus of every format that an importer reads, with faults in it, and what it holds counted without us."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import soundfile
from pyarrow import parquet

from speechtransfer.corpora import asterisk, fillets, tuxpaint
from speechtransfer.corpora.contract import Packaged

GOLDEN = Path(__file__).parent / "golden"
SWAHILI = ("habari ya asubuhi", "karibu sana", "ndiyo", "kwa heri", "asante", "maji baridi")


@dataclass(frozen=True)
class Sample:
    """A corpus of one format.

    Attributes:
        format: the importer's name.
        build: writes it into a folder.
        given: how many utterances (and files that might be some) the folder holds, by another program or a plain count.
        data: what is loaded; ``{}`` stands for the folder.
        place: where the folder lies; of packages, as if they had been fetched into the cache.
    """

    format: str
    build: Callable[[Path], None]
    given: Callable[[Path], int]
    data: str = "{}"
    place: str = "corpus"


def sound(path: Path, pitch: float, seconds: float = 0.1) -> Path:
    """A file like no other of another pitch; its name may end in anything, since decoders tell by content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 9000 * np.sin(np.arange(round(seconds * 8000)) * (1000 + pitch) / 8000)
    soundfile.write(path, wave.astype(np.int16), 8000, format="WAV")
    return path


def sounds(folder: Path, names: str, suffix: str = ".wav", seconds: float = 0.1) -> None:
    for number, name in enumerate(names.split()):
        sound(folder / f"{name}{suffix}", number, seconds)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def below(folder: Path, *endings: str) -> list[str]:
    """The files that lie anywhere in a folder, by their paths in it; those whose names end so."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return [name for name in names if name.endswith(endings or ("",))]


def table(path: Path, delimiter: str) -> list[dict[str, str]]:
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter=delimiter, quoting=quoting))


def lines_of(path: Path) -> list[str]:
    content = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    return [line for line in content.split("\n") if line.strip()]


# A manifest.


def manifest(folder: Path) -> None:
    sounds(folder / "clips", "a b c d")
    rows = [{"audio": f"clips/{name}.wav", "text": said} for name, said in zip("abcd", SWAHILI, strict=False)]
    rows[1] |= {"start": 0.01, "end": 0.09, "speaker": "anna", "language": "swh", "split": "train"}
    text(folder / "manifest.jsonl", *(json.dumps(row, ensure_ascii=False) for row in rows))


def manifest_rows(folder: Path) -> int:
    return len(lines_of(folder / "manifest.jsonl"))


# Tables.


def metadata(delimiter: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        sounds(folder / "clips", "a b c d stray")
        rows = [
            ("file_name", "text", "speaker", "split", "start", "end"),
            ("clips/a.wav", '"Habari, ""ya"" asubuhi"' if delimiter == "," else "Habari", "anna", "train", "", ""),
            ("clips/b.wav", "karibu", "ben", "validation", "0.01", "0.05"),
            ("clips/b.wav", "sana", "ben", "validation", "0.05", "0.1"),
            ("clips/c.wav", "", "carla", "test", "", ""),
            ("clips/d.wav", "ndiyo", "carla", "test", "", ""),
        ]
        text(folder / ("metadata.csv" if delimiter == "," else "metadata.tsv"), *map(delimiter.join, rows))

    return build


def metadata_rows(folder: Path) -> int:
    (path,) = folder.glob("metadata.*")
    rows = table(path, "," if path.suffix == ".csv" else "\t")
    return len(rows) + len(set(below(folder, ".wav")) - {row["file_name"] for row in rows})


def common_voice(folder: Path) -> None:
    tables = {
        "train": (("anna", "t1", "Habari"), ("anna", "t2", "Karibu sana"), ("ben", "gone", "Haipo")),
        "dev": (("carla", "d1", 'Alisema: "ndiyo'),),
        "test": (("dan", "e1", "Kwa heri"),),
        "validated": (("anna", "t1", "Habari"), ("eva", "v1", "Maji"), ("dan", "v2", "Moto"), ("finn", "v3", "Habari")),
        "invalidated": (("eva", "i1", "Sio"), ("eva", "i2", "Hapana")),
        "other": (("eva", "o1", "Labda"), ("anna", "t2", "Karibu sana")),
    }
    for name, rows in tables.items():
        lines = [f"{speaker}\t{clip}.mp3\t{said}\t2\t0\tsw" for speaker, clip, said in rows]
        text(folder / f"{name}.tsv", "client_id\tpath\tsentence\tup_votes\tdown_votes\tlocale", *lines)
    sounds(folder / "clips", "t1 t2 d1 e1 v1 v2 v3 i1 i2 o1 stray", ".mp3")


def common_voice_clips(folder: Path) -> int:
    """Each clip is in several tables; validated rows without a name are none that another table could have."""
    rows = [row["path"] for path in folder.glob("*.tsv") for row in table(path, "\t")]
    return len({*rows, *(name.removeprefix("clips/") for name in below(folder, ".mp3"))})


def mswc(folder: Path) -> None:
    names = "habari/a habari/b habari/c habari/d ndiyo/a ndiyo/stray"
    sounds(folder / "sw" / "clips", names, ".opus")
    rows = [
        "TRAIN,habari/a.opus,habari,True,anna,FEMALE",
        "TRAIN,habari/b.opus,habari,True,ben,NAN",
        "DEV,habari/c.opus,habari,True,carla,MALE",
        'TEST,ndiyo/a.opus,"ndiyo",True,anna,OTHER',
        "TEST,habari/d.opus,habari,False,dan,MALE",
        "TRAIN,habari/gone.opus,habari,True,dan,MALE",
    ]
    text(folder / "sw" / "sw_splits.csv", "SET,LINK,WORD,VALID,SPEAKER,GENDER", *rows)


def mswc_rows(folder: Path) -> int:
    rows = [row for path in folder.glob("*/*.csv") for row in table(path, ",")]
    return len(rows) + len({name.split("clips/")[1] for name in below(folder, ".opus")} - {row["LINK"] for row in rows})


def lj_speech(folder: Path) -> None:
    sounds(folder / "wavs", "LJ-1 LJ-2 LJ-4 LJ-9")
    text(folder / "metadata.csv", 'LJ-1|Alisema "5|Alisema tano', "LJ-2|karibu|", "LJ-3|gone|gone", "LJ-4||")


def numbered(folder: Path) -> None:
    sounds(folder, "rec_1 rec_2 rec_10 rec_11")
    text(folder / "list.csv", "number,said", "1,habari", "10,karibu", '2,"ndiyo, sana"', "12,gone")


def list_lines(folder: Path) -> int:
    """Each line and each file, a pair of them once; a number is a name where one file alone ends in it."""
    (path,) = folder.glob("*.csv")
    named = {re.split("[|,]", line)[0] for line in lines_of(path)}
    stems = [Path(name).stem for name in below(folder, ".wav")]
    numbers = [stem.rpartition("_")[2] for stem in stems]
    paired = {
        stem for stem, number in zip(stems, numbers, strict=True) if numbers.count(number) == 1 and number in named
    }
    return len(lines_of(path)) + len(set(stems) - named - paired)


# Files that lie beside sound.


def class_folders(folder: Path) -> None:
    sounds(folder, "train/yes/1 train/no/1 train/loose dev/yes/2 test/no/3 test/yes/3 test/no/deep/4")
    text(folder / "train/yes/README.md", "mine")


def every_file(folder: Path) -> int:
    return len(below(folder))


def speech_commands(folder: Path) -> None:
    sounds(folder, "yes/aa_nohash_0 yes/bb_nohash_0 no/aa_nohash_1 no/cc_nohash_0 _background_noise_/tap stray")
    text(folder / "_background_noise_/README.md", "taps")
    text(folder / "validation_list.txt", "yes/bb_nohash_0.wav", "yes/gone_nohash_0.wav")
    text(folder / "testing_list.txt", "no/cc_nohash_0.wav")


def speech_commands_files(folder: Path) -> int:
    lists = list(folder.glob("*_list.txt"))
    listed = {line for path in lists for line in lines_of(path)}
    return len(set(below(folder)) | listed) - len(lists)


def beside(folder: Path) -> None:
    sounds(folder, "train/a train/b train/untold dev/c test/d")
    for name, said in zip(("train/a", "train/b", "dev/c", "test/d", "test/unheard"), SWAHILI, strict=False):
        text(folder / f"{name}.txt", said, "")
    text(folder / "train/b.txt")


def beside_stems(folder: Path) -> int:
    return len({Path(name).with_suffix("") for name in below(folder, ".wav", ".txt")})


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
    sounds(folder, "Aufnahmen/Gespräch#1".replace("#", "_"), seconds=1.0)
    (folder / "Aufnahmen/Gespräch_1.wav").rename(folder / "Aufnahmen/Gespräch 1.wav")
    sounds(folder, "sound/story", seconds=2.0)


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
    from pyarrow import ipc

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


def _packaged(
    corpora: dict[str, Packaged], name: str, build: Callable[[Path], None], given: Callable[[Path], int]
) -> Sample:
    return Sample("debian", build, given, f"debian:{name}", f"cache/debian/{'+'.join(corpora[name].packages)}")


_PAIR = "xx_recordings_dev.jsonl", "xx_supervisions_dev.jsonl"
SAMPLES: dict[str, Sample] = {
    "manifest": Sample("manifest", manifest, manifest_rows),
    "table-csv": Sample("table", metadata(","), metadata_rows),
    "table-tsv": Sample("table", metadata("\t"), metadata_rows),
    "commonvoice": Sample("commonvoice", common_voice, common_voice_clips),
    "mswc": Sample("mswc", mswc, mswc_rows),
    "list-ljspeech": Sample("list", lj_speech, list_lines),
    "list-numbered": Sample("list", numbered, list_lines),
    "classes": Sample("classes", class_folders, every_file),
    "speechcommands": Sample("speechcommands", speech_commands, speech_commands_files),
    "sidecar": Sample("sidecar", beside, beside_stems),
    "kaldi": Sample("kaldi", kaldi, kaldi_utterances),
    "kaldi-splits": Sample("kaldi", kaldi_splits, kaldi_utterances),
    "elan": Sample("elan", elan, elan_annotations, "{}#type=utterance"),
    "praat": Sample("praat", praat, praat_intervals, "{}#tier=Sätze"),
    "lhotse-cuts": Sample("lhotse", lhotse("libri_cuts_train.jsonl"), lhotse_supervisions),
    "lhotse-pair-gz": Sample("lhotse", lhotse(*_PAIR, packed=True), lhotse_supervisions),
    "hub-saved": Sample("hub", hub("saved"), hub_rows),
    "hub-parquet": Sample("hub", hub("parquet"), hub_rows),
    "debian-asterisk": _packaged(asterisk.CORPORA, "asterisk-ru", asterisk_voice, asterisk_keys),
    "debian-tuxpaint": _packaged(tuxpaint.CORPORA, "tuxpaint-ru", stamps, stamps_lines),
    "debian-fillets": _packaged(fillets.CORPORA, "fillets-cs", dialogues, dialogues_lines),
}


def written(name: str, home: Path) -> tuple[Path, str]:
    """Write a sample into a folder; where it lies, and what ``load`` takes it by."""
    sample = SAMPLES[name]
    folder = home / sample.place
    folder.mkdir(parents=True)
    sample.build(folder)
    return folder, sample.data.format(folder)
