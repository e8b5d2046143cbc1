"""The source `many` to Greek: two minutes, four, and all of the training split.

Command: speechtransfer run recipes/many_to_el_ctc
Expected: CER 40.0% [38.2, 41.9] on four minutes (37.0 to 42.4% a fold), against 38.8 and 53.6% from scratch on two;
32.9% [30.9, 35.0] on all, against 32.8 and 48.0%; 50.1% [48.1, 52.0] on two minutes, against 52.4 and 70.1%.
"""

from speechtransfer.catalogue import find, of_language

RECIPES = {
    variant: of_language(recipe, "many_to_el_ctc", "debian:tuxpaint-el", "ell")
    for variant, recipe in find("many_to_ru_ctc")[1].items()
}
