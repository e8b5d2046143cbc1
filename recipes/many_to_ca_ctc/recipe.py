"""The source `many` to Catalan: two minutes, four, and all of the training split.

Command: speechtransfer run recipes/many_to_ca_ctc
Expected: not yet run.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

RECIPES = {
    variant: replace(recipe, name="many_to_ca_ctc", data=("debian:tuxpaint-ca",), language="cat", tests={})
    for variant, recipe in find("many_to_ru_ctc")[1].items()
}
