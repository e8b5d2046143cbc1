"""Words of Debian's French voice prompts, cut out of them, from one to ten recordings of each; one voice.

Command: speechtransfer mine debian:asterisk-fr --run many --words WORDS
    --out runs/prompts_words/fr,
    then as recipes/prompts_en_to_es_keywords
Expected: accuracy 94.2% [92.0, 96.1] of 268 from one recording of each word (whisper-1clip), 99.5% [98.9, 100.0] from
five; by the recordings themselves 98.6% [97.7, 99.4] from one (match-1clip).
"""

from speechtransfer.catalogue import find, of_language

#: Five letters or more, said at least twelve times.
WORDS = ("conférence", "votre", "veuillez", "dièse", "numéro", "message", "cette", "appuyez", "maintenant", "nouveau")

RECIPES = {
    variant: of_language(recipe, "prompts_en_to_fr_keywords", "runs/prompts_words/fr", "fra")
    for variant, recipe in find("prompts_en_to_es_keywords")[1].items()
}
