"""Whisper tiny.en's encoder to Greek: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_el_ctc
Expected: not yet run.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

ITALIAN = find("whisper_tiny_en_to_it_ctc")[1]["default"]
ALL = replace(
    ITALIAN,
    name="whisper_tiny_en_to_el_ctc",
    data=("debian:tuxpaint-el",),
    language="ell",
    tests={},
)
# Four minutes are fewer steps an epoch: three times the epochs.
FOUR = replace(ALL, train_minutes=4.0, settings=replace(ALL.settings, epochs=72))
RECIPES = {"4min": FOUR, "all": ALL}
