"""Whisper tiny.en's encoder to Greek: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_el_ctc
Expected: CER 30.9% [27.3, 33.7] of 3,418 characters on four minutes (two folds), 52.0% from scratch: 40.6% relative;
30.0% [27.0, 32.8] by way of eight languages; 28.7% [25.5, 33.1] of 2,019 on all (one fold), 48.0% from scratch: 40.2%.
"""

from dataclasses import replace

from speechtransfer.catalogue import find, of_language

GREEK = {
    variant: of_language(
        recipe, "whisper_tiny_en_to_el_ctc", "debian:tuxpaint-el", "ell", ("debian:libreoffice-help-el",)
    )
    for variant, recipe in find("whisper_tiny_en_to_ru_ctc")[1].items()
    if variant != "tuxpaint"
}
TWICE = {
    variant: replace(GREEK[variant], run_folds=(0, 1), scratch=replace(GREEK[variant].scratch, folds=2))
    for variant in ("4min", "4min-bridged")
}
# Two folds were trained, so a run to which text is added is that of the first.
TEXTS = {
    variant: replace(recipe, source=f"{recipe.source}/folds/0") for variant, recipe in GREEK.items() if recipe.texts
}
RECIPES = {**GREEK, **TWICE, **TEXTS}
