"""Make the synthetic speech that smoke runs and tests use: espeak-ng says each line, stored as Ogg Vorbis."""

import csv
import json
import subprocess
import tempfile
from pathlib import Path

import soundfile

LINES = (
    "red", "green", "blue", "yellow tree", "one red bird", "two green fish", "a blue door", "the old tree",
    "open the door", "close the door", "birds sing", "fish swim", "the sea is blue", "the sun is red",
    "a tree by the sea", "one door is open", "two birds swim", "green and yellow", "old and blue", "sing to me",
)  # fmt: skip


def main() -> None:
    """Write clips/, metadata.csv and grades.jsonl beside this file."""
    here = Path(__file__).parent
    (here / "clips").mkdir(exist_ok=True)
    rows = []
    for number, line in enumerate(LINES):
        with tempfile.NamedTemporaryFile(suffix=".wav") as spoken:
            subprocess.run(["espeak-ng", "-v", "en", "-s", "150", "-w", spoken.name, line], check=True)
            wave, rate = soundfile.read(spoken.name)
        name = f"clips/{number:02d}.ogg"
        soundfile.write(here / name, wave, rate, format="OGG", subtype="VORBIS")
        # The label stands for a keyword: whether few words are said, or more.
        rows.append((name, line, "few" if len(line.split()) < 3 else "more", "eng"))
    with (here / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file_name", "text", "label", "language"), *rows])
    # The number stands for a grade: how many words are said.
    grades = [
        {"audio": name, "text": line, "label": str(len(line.split())), "language": language}
        for name, line, _, language in rows
    ]
    (here / "grades.jsonl").write_text("".join(json.dumps(one) + "\n" for one in grades), encoding="utf-8")


if __name__ == "__main__":
    main()
