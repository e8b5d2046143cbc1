"""Whisper tiny.en's encoder to Greek: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_el_ctc
Expected: CER 30.9% [27.3, 33.7] of 3,418 characters on four minutes (two folds), 52.0% from scratch: 40.6% relative.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

ONE, ALL = (
    replace(recipe, name="whisper_tiny_en_to_el_ctc", data=("debian:tuxpaint-el",), language="ell")
    for recipe in find("whisper_tiny_en_to_ro_ctc")[1].values()
)
FOUR = replace(ONE, run_folds=(0, 1), scratch=replace(ONE.scratch, folds=2))
# By way of eight other languages, as in Russian.
BRIDGED = replace(FOUR, source="runs/source_whisper_many/default")
RECIPES = {"4min": FOUR, "all": ALL, "4min-bridged": BRIDGED}
