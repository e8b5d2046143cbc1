"""Whisper tiny.en's encoder to Greek: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_el_ctc
Expected: CER 30.9% [27.3, 33.7] of 3,418 characters on four minutes (two folds), 52.0% from scratch: 40.6% relative;
30.0% [27.0, 32.8] by way of eight languages; 28.7% [25.5, 33.1] of 2,019 on all (one fold), 48.0% from scratch: 40.2%.
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
#: Four minutes of speech with text that came later, on the first fold: nothing is trained again.
TEXTS = {
    variant: replace(
        recipe,
        name=FOUR.name,
        data=FOUR.data,
        language=FOUR.language,
        tests={},
        source=f"{recipe.source.replace(recipe.name, FOUR.name)}/folds/0",
        texts=("debian:libreoffice-help-el",),
    )
    for variant, recipe in find("whisper_tiny_en_to_ru_ctc")[1].items()
    if recipe.texts
}
RECIPES = {"4min": FOUR, "all": ALL, "4min-bridged": BRIDGED, **TEXTS}
