"""Words of Debian's Italian voice prompts, cut out of them, from one to ten recordings of each; one voice.

Command: speechtransfer mine debian:asterisk-it --run many --words WORDS
    --out runs/prompts_words/it,
    then as recipes/prompts_en_to_es_keywords
Expected: accuracy 98.5% [97.6, 99.3] of 217 from one recording of each word, and 100.0% [99.6, 100.0] from three,
five or ten (whisper-1clip to whisper-10clips), or from one by match-1clip.
"""

from speechtransfer.catalogue import find, of_language

#: Five letters or more, said at least twelve times.
WORDS = (
    "conferenza",
    "prego",
    "cancelletto",
    "numero",
    "messaggio",
    "chiamata",
    "tasto",
    "premere",
    "digitare",
    "volume",
)

RECIPES = {
    variant: of_language(recipe, "prompts_en_to_it_keywords", "runs/prompts_words/it", "ita")
    for variant, recipe in find("prompts_en_to_es_keywords")[1].items()
}
