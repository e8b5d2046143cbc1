"""Whisper tiny.en's encoder to Greek: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_el_ctc
Expected: CER 30.9% [27.3, 33.7] of 3,418 characters on four minutes (two folds), 52.0% from scratch: 40.6% relative.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

FOUR, ALL = (
    replace(recipe, name="whisper_tiny_en_to_el_ctc", data=("debian:tuxpaint-el",), language="ell")
    for recipe in find("whisper_tiny_en_to_ro_ctc")[1].values()
)
RECIPES = {"4min": replace(FOUR, run_folds=(0, 1), scratch=replace(FOUR.scratch, folds=2)), "all": ALL}
