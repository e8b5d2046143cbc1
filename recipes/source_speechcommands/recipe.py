"""A source of a spotter: our compact network from nothing on Speech Commands' words, in its own splits.

Command: SPEECHTRANSFER_DATA=... speechtransfer run recipes/source_speechcommands --out runs/source_speechcommands
Expected: not yet run on the full data; shown on a folder of the same layout alone.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

COMPACT = find("source_digits_en")[1]["compact"]
RECIPE = replace(
    COMPACT,
    name="source_speechcommands",
    data=("speech_commands",),
    speaker_pattern=None,  # the importer reads it
    folds=5,
)
