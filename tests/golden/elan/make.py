"""Written by pympi-ling 1.71, the files beside this one: ``python make.py`` in an empty copy of the folder."""

from __future__ import annotations

from pathlib import Path

from pympi import Eaf


def document(media: str, relative: str | None = None, mime: str | None = None) -> Eaf:
    """An empty file that links a medium, dated so that it is the same on every day."""
    eaf = Eaf(author="golden")
    eaf.adocument["DATE"] = "2024-05-01T12:00:00+00:00"
    eaf.remove_tier("default")
    eaf.add_linguistic_type("utterance")
    eaf.add_linguistic_type("words", "Symbolic_Subdivision", timealignable=False)
    eaf.add_linguistic_type("translation", "Symbolic_Association", timealignable=False)
    eaf.add_linked_file(media, relative, mime)
    return eaf


def main(folder: Path) -> None:
    # Two speakers who overlap, translations two levels deep, an empty annotation, the path of a Windows machine.
    talk = document("file:///C:/Users/Jürgen/Aufnahmen/Gespräch%201.wav", "./Aufnahmen/Gespräch%201.wav")
    talk.add_tier("utterance@A", "utterance", part="Anna")
    talk.add_tier("utterance@B", "utterance", part="Björn")
    talk.add_tier("translation@A", "translation", parent="utterance@A")
    talk.add_tier("note@A", "translation", parent="translation@A")
    for start, end, text in ((0, 400, "Schöne Grüße"), (450, 800, "  über Köln "), (820, 900, "")):
        talk.add_annotation("utterance@A", start, end, text)
    talk.add_annotation("utterance@B", 300, 620, "Ja, ähm, „gut“ & schön")
    talk.add_ref_annotation("translation@A", "utterance@A", 200, "kind regards")
    talk.add_ref_annotation("translation@A", "utterance@A", 600, "via Cologne")
    talk.add_ref_annotation("note@A", "translation@A", 600, "a city")
    talk.to_file(folder / "talk.eaf")

    # A film first and its sound second; words that share one annotation.
    story = document("file:///media/stick/story.mpg", mime="video/mpeg")
    story.add_linked_file("file:///media/stick/story.wav", "../sound/story.wav")
    story.add_tier("utterance@C", "utterance", part="Chloé")
    story.add_tier("words@C", "words", parent="utterance@C")
    story.add_annotation("utterance@C", 100, 700, "ça va")
    for word in ("ça", "va"):
        story.add_ref_annotation("words@C", "utterance@C", 400, word)
    story.to_file(folder / "story.eaf")


if __name__ == "__main__":
    main(Path(__file__).parent)
