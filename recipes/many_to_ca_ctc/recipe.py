"""The source `many` to Catalan: two minutes, four, and all of the training split.

Command: speechtransfer run recipes/many_to_ca_ctc
Expected: CER 34.9% [33.4, 36.4] on four minutes, against 34.1 and 55.3% from scratch on two;
28.6% [27.0, 30.2] on all, against 28.0 and 46.9%; 41.3% [39.9, 42.7] on two minutes, against 41.8 and 63.7%.
"""

from speechtransfer.catalogue import find, of_language

RECIPES = {
    variant: of_language(recipe, "many_to_ca_ctc", "debian:tuxpaint-ca", "cat")
    for variant, recipe in find("many_to_ru_ctc")[1].items()
}
