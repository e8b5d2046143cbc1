"""Whisper tiny.en's encoder to Greek: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_el_ctc
Expected: not yet run.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

RECIPES = {
    variant: replace(recipe, name="whisper_tiny_en_to_el_ctc", data=("debian:tuxpaint-el",), language="ell")
    for variant, recipe in find("whisper_tiny_en_to_ro_ctc")[1].items()
}
