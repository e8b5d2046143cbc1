"""Written by praatio 6.2.2, the files beside this one: ``python make.py`` in an empty copy of the folder."""

from __future__ import annotations

from pathlib import Path

from praatio.textgrid import IntervalTier, PointTier, Textgrid


def main(folder: Path) -> None:
    grid = Textgrid()
    said = [(0.05, 0.4, 'Hallo "Köln", ça va?'), (0.4, 0.75, "ñandú"), (0.8, 0.95, "дім")]
    grid.addTier(IntervalTier("Sätze", said, 0, 1))
    grid.addTier(PointTier("tones", [(0.2, "H*"), (0.9, "L%")], 0, 1))
    grid.addTier(IntervalTier("empty", [], 0, 1))
    for format in ("long", "short"):
        grid.save(str(folder / f"{format}.TextGrid"), format=f"{format}_textgrid", includeBlankSpaces=True)
    wide = (folder / "short.TextGrid").read_text(encoding="utf-8")
    (folder / "utf16.TextGrid").write_text(wide, encoding="utf-16")  # as Praat writes what is not ASCII

    voices = Textgrid()
    voices.addTier(IntervalTier("Anna", [(0, 0.5, "yes"), (0.5, 1, "no")], 0, 1))
    voices.addTier(IntervalTier("Ben", [(0.25, 0.6, "maybe")], 0, 1))
    voices.save(str(folder / "voices.TextGrid"), format="long_textgrid", includeBlankSpaces=True)


if __name__ == "__main__":
    main(Path(__file__).parent)
