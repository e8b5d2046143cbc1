"""Whisper tiny.en's encoder to Czech: 95 minutes of acted dialogues.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_cs_ctc
Expected: CER 37.7% [36.8, 38.7] of 24,363 characters on four minutes (one fold), 68.8% from scratch: 45.2% relative;
37.0% [35.9, 38.1] by way of eight languages; 33.5% [32.4, 34.7] with texts, 68.9% from scratch with texts.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

RUSSIAN = find("whisper_tiny_en_to_ru_ctc")[1]
FOUR, LONG, BRIDGED = (
    replace(RUSSIAN[variant], name="whisper_tiny_en_to_cs_ctc", data=("debian:fillets-cs",), language="ces", tests={})
    for variant in ("4min", "all", "4min-bridged")
)
# An epoch is five times as long as the others': fewer of them are as many steps.
ALL = replace(LONG, settings=replace(LONG.settings, epochs=8))
#: Four minutes of speech with text that came later: nothing is trained again.
TEXTS = {
    variant: replace(
        recipe,
        name=FOUR.name,
        data=FOUR.data,
        language=FOUR.language,
        tests={},
        source=recipe.source.replace(recipe.name, FOUR.name),
        texts=("debian:fortunes-cs", "debian:libreoffice-help-cs"),
    )
    for variant, recipe in RUSSIAN.items()
    if recipe.texts
}
RECIPES = {"4min": FOUR, "all": ALL, "4min-bridged": BRIDGED, **TEXTS}
