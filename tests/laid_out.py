"""Small corpora as people lay them out, with faults in them, and what each holds counted without us."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from pieces import SWAHILI, below, lines_of, sounds, table, text

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
        lines = [f"{speaker}\t{clip}.mp3\t{said}\t2\t0\ttwenties\tfemale\t\t\tsw\t" for speaker, clip, said in rows]
        header = "client_id path sentence up_votes down_votes age gender accents variant locale segment"
        text(folder / f"{name}.tsv", header.replace(" ", "\t"), *lines)
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


# Subtitles.


def subtitles(folder: Path) -> None:
    sounds(folder, "talk news", seconds=2.0)
    text(
        folder / "talk.srt",
        *("1", "00:00:00,100 --> 00:00:00,600", f"<i>{SWAHILI[0]}</i>", "- ndiyo --> sana", ""),
        *("2", "00:00:00,700 --> 00:00:01,200", "", "", "3", "00:00:01,500 --> 00:00:01,300", SWAHILI[1], ""),
        *("4", "00:00:01,400 --> 00:00:01,900", SWAHILI[1], ""),
    )
    text(
        folder / "news.sw.vtt",
        *("WEBVTT", "Kind: captions", "", "NOTE 00 --> nobody", "", "a", "00:00.100 --> 00:00.900 align:start"),
        *(
            "<v Asha>Habari <00:00:00.400><c>za</c> asubuhi &amp; jioni",
            "",
            "00:00:01.000 --> 00:00:01.900",
            "karibu",
            "",
        ),
    )
    text(folder / "gone.srt", "1", "00:00:00,100 --> 00:00:00,600", "unheard", "")


def subtitles_shown(folder: Path) -> int:
    """Lines that begin with a time."""
    shown = [line for path in folder.iterdir() if path.suffix in (".srt", ".vtt") for line in lines_of(path)]
    return sum(bool(re.match(r"\d\d:\d\d", line)) for line in shown)
