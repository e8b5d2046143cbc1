"""Whisper tiny.en's encoder to Russian: telephone prompts of one voice, and picture names of another.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_ru_ctc
Expected: not yet run.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

ITALIAN = find("whisper_tiny_en_to_it_ctc")[1]["default"]
ALL = replace(
    ITALIAN,
    name="whisper_tiny_en_to_ru_ctc",
    data=("debian:asterisk-ru",),
    language="rus",
    tests={"tuxpaint": "debian:tuxpaint-ru"},
)
# Four minutes are fewer steps an epoch: three times the epochs.
FOUR = replace(ALL, train_minutes=4.0, settings=replace(ALL.settings, epochs=72))
# The other way round: learnt from the one voice, tested on the other as well.
TUXPAINT = replace(ALL, data=("debian:tuxpaint-ru",), tests={"asterisk": "debian:asterisk-ru"})
RECIPES = {"4min": FOUR, "all": ALL, "tuxpaint": TUXPAINT}
