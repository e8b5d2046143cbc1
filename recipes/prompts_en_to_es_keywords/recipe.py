"""Words of Debian's Spanish voice prompts, cut out of them, from one to ten recordings of each; one voice.

Command: speechtransfer mine debian:asterisk-es --run many --words WORDS
    --out runs/prompts_words/es,
    then speechtransfer run recipes/source_donor --variant english --out runs/source_donor,
    then SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/prompts_en_to_es_keywords
Expected: accuracy 100.0% [99.7, 100.0] of 265 from five recordings of each word (whisper-5clips), 97.4% from one; by
the recordings themselves 100.0% [99.7, 100.0] from one (match-1clip).
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.catalogue import find
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.spotting import Keywords
from speechtransfer.transfer import Rule, Transfer

#: Five letters or more, said at least twelve times.
WORDS = ("conferencia", "numero", "favor", "tecla", "usted", "presione", "mensaje", "volumen", "ingrese", "otros")

WHISPER = Recipe(
    name="prompts_en_to_es_keywords",
    data=("runs/prompts_words/es",),
    source="openai/whisper-tiny.en",
    family="whisper",
    task="keywords",
    language="spa",
    # As whisper_tiny_en_to_uk_keywords: nothing is trained.
    transfer=Transfer((Rule(r"encoder\..*", scale=0.0), Rule(r"objective\..*")), cut="layer2", graft="fresh"),
    settings=FitSettings(steps=0, epochs=None),
    keywords=Keywords(loss="prototypes", pooling="parts"),
    train_clips=5,
    draws=4,
    scratch=Scratch(folds=0),
)
#: The recordings themselves, in directions that the digits of `recipes/source_digits_en` taught.
MATCH = replace(
    WHISPER,
    source="runs/source_digits_en/whisper-metric",
    transfer=replace(WHISPER.transfer, cut=None, graft="shared"),
    keywords=Keywords(loss="match", metric="source"),
)
#: It heard the English prompts and nothing else; `many` and `enesfrit` know these voices.
CONFORMER = replace(
    WHISPER,
    source="runs/source_donor/english",
    family="conformer",
    transfer=replace(WHISPER.transfer, cut="layer1"),
)
SMALL = find("digits_en_to_uk_keywords")[1]["scratch-planes-5clips"]
#: From nothing: the network that is best so with few recordings and with all, at its own rate and length.
SCRATCH = replace(
    WHISPER,
    source=SMALL.source,
    family=SMALL.family,
    transfer=SMALL.transfer,
    settings=SMALL.settings,
    keywords=SMALL.keywords,
    draws=1,
)
RECIPES = {
    f"{name}-{clips}clip{'s' * (clips > 1)}": replace(recipe, train_clips=clips)
    for name, recipe in {"whisper": WHISPER, "match": MATCH, "conformer": CONFORMER, "scratch": SCRATCH}.items()
    for clips in (5, 1, 3, 10)
}
