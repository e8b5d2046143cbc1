"""Whisper tiny.en's encoder to Greek: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_el_ctc
Expected: CER 31.1% [29.1, 33.0] of 7,213 characters on four minutes (five folds), 52.8% from scratch: 41.1% relative;
27.4% [25.5, 29.4] with a dictionary and help pages, 52.9% from scratch with them: 48.2%;
30.0% [27.0, 32.8] of 3,418 by way of eight languages (two folds), 52.0% from scratch; on all 28.7% [25.5, 33.1] of
2,019 (one fold), 48.0% from scratch: 40.2%.
"""

from dataclasses import replace

from speechtransfer.catalogue import find, of_language, on_folds

HELP = "debian:libreoffice-help-el"
GREEK = {
    variant: of_language(recipe, "whisper_tiny_en_to_el_ctc", "debian:tuxpaint-el", "ell", (HELP,))
    for variant, recipe in find("whisper_tiny_en_to_ru_ctc")[1].items()
    if variant != "tuxpaint"
}
# Text was added to every fold of four minutes.
GREEK |= {
    variant: on_folds(replace(GREEK[variant], source=GREEK[variant].source.removesuffix("/folds/0")), *range(5))
    for variant in ("4min-texts", "4min-scratch-texts")
}
BRIDGED = "4min-bridged"
# Two folds were trained by way of other languages, so the run to which text is added is that of the first.
TWICE = {
    BRIDGED: on_folds(GREEK[BRIDGED], 0, 1),
    f"{BRIDGED}-texts": replace(GREEK[f"{BRIDGED}-texts"], source=f"runs/{GREEK[BRIDGED].name}/{BRIDGED}/folds/0"),
}
#: With a dictionary's headwords beside the help pages: names of things, as the test's are.
WORDS = {
    variant.replace("texts", "dictionary"): replace(GREEK[variant], texts=(HELP, "debian:dict-freedict-ell-eng"))
    for variant in ("4min-texts", "4min-scratch-texts")
}
RECIPES = {**GREEK, **TWICE, **WORDS}
