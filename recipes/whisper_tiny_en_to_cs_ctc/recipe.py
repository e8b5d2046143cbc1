"""Whisper tiny.en's encoder to Czech: 95 minutes of acted dialogues.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_cs_ctc
Expected: not yet run.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

ITALIAN = find("whisper_tiny_en_to_it_ctc")[1]["default"]
ALL = replace(
    ITALIAN,
    name="whisper_tiny_en_to_cs_ctc",
    data=("debian:fillets-cs",),
    language="ces",
    tests={},
    # An epoch is five times as long as the others': fewer of them are as many steps.
    settings=replace(ITALIAN.settings, epochs=8),
)
# Four minutes are fewer steps an epoch: three times the epochs.
FOUR = replace(ALL, train_minutes=4.0, settings=replace(ALL.settings, epochs=72))
RECIPES = {"4min": FOUR, "all": ALL}
