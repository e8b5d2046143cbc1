"""Whisper tiny.en's encoder taught to write eight languages: a source for others, one stage further than the encoder.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/source_whisper_many
Expected: CER 16.7% [14.5, 19.0] of 7,996 characters of its own languages (one cut of sixteen).
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.catalogue import find

ITALIAN = find("whisper_tiny_en_to_it_ctc")[1]["default"]
RECIPE = replace(
    ITALIAN,
    name="source_whisper_many",
    data=(
        *(f"debian:asterisk-{language}" for language in ("en", "es", "fr", "it")),
        *(f"debian:tuxpaint-{language}" for language in ("be", "bg", "ca", "es", "fr", "ro")),
    ),
    language=None,
    settings=replace(ITALIAN.settings, epochs=8, evaluations=4, checkpoint_every=200),
    folds=16,
    run_folds=(0,),
    # Most of the languages have one voice: split by speaker, whole languages would be missing from training.
    split_by="prompt",
    tests={},
    scratch=Scratch(folds=0),
    language_model=0,
)
RECIPES = {"default": RECIPE}
