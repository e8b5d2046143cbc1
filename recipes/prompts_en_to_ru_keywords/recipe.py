"""Words of Debian's Russian voice prompts, cut out of them, from one to ten recordings of each; one voice.

Command: speechtransfer adapt debian:asterisk-ru --task ctc --language rus --out runs/russian,
    then speechtransfer mine debian:asterisk-ru --run runs/russian --out runs/prompts_words/ru --words WORDS,
    then as recipes/prompts_en_to_es_keywords
Expected: accuracy 100.0% [99.5, 100.0] of 172 from five recordings of each word (whisper-5clips), 99.0% from one;
100.0% [99.5, 100.0] from one by match-1clip.
"""

from speechtransfer.catalogue import find, of_language

#: Five letters or more, said at least twelve times.
WORDS = ("нажмите", "номер", "введите", "сообщение", "конференция", "решетку", "пожалуйста", "пароль")

RECIPES = {
    variant: of_language(recipe, "prompts_en_to_ru_keywords", "runs/prompts_words/ru", "rus")
    for variant, recipe in find("prompts_en_to_es_keywords")[1].items()
}
