"""Words of Debian's French voice prompts, cut out of them, from one to ten recordings of each; one voice.

Command: speechtransfer mine debian:asterisk-fr --run many --words WORDS
    --out runs/prompts_words/fr,
    then as recipes/prompts_en_to_es_keywords
Expected: accuracy 92.3% [89.7, 94.7] of 268 from one recording of each word (whisper-1clip), 98.2% [96.9, 99.3]
    from three, 99.4% [98.7, 99.9] from five, 99.9% [99.7, 100.0] from ten.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

#: Five letters or more, said at least twelve times.
WORDS = ("conférence", "votre", "veuillez", "dièse", "numéro", "message", "cette", "appuyez", "maintenant", "nouveau")

RECIPES = {
    variant: replace(recipe, name="prompts_en_to_fr_keywords", data=("runs/prompts_words/fr",), language="fra")
    for variant, recipe in find("prompts_en_to_es_keywords")[1].items()
}
