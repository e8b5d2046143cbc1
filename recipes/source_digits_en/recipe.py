"""Sources of a spotter: what ten English digits teach, as the Free Spoken Digit Dataset has them.

Three small networks, and of pretrained encoders how differently people say one word.

Command: SPEECHTRANSFER_DATA=... speechtransfer run recipes/source_digits_en --out runs/source_digits_en
    (words-metric after speechtransfer mine debian:fillets-cs --run many --at-most 40
    --out runs/prompts_words/cs --words $(cat recipes/source_digits_en/words_cs.txt))
Expected: accuracy 43.6% [39.2, 48.2] (dnn), 45.2% [40.6, 49.8] (cnn), 50.2% [45.8, 54.8] (compact) of 500 recordings by
a sixth speaker: four speakers are few. Of recordings that are compared, 99.4% (whisper-metric), 92.2% (many-metric).
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch, scratch_transfer
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.spotting import Keywords
from speechtransfer.transfer import Rule, Transfer

DNN = Recipe(
    name="source_digits_en",
    data=("digits_en",),
    source="random:dnn",
    family="dnn",
    task="keywords",
    language="eng",
    transfer=scratch_transfer(),
    settings=FitSettings(epochs=30, lr=1e-3, evaluations=6),
    speaker_pattern=r"/([a-z]+)_\d+\.wav$",
    # Six speakers: one to test, one for dev, four to learn from.
    folds=6,
    run_folds=(0,),
    scratch=Scratch(folds=0),
)
#: Nothing is trained: what is learnt is the metric of a frozen encoder's block, for words of other languages.
WHISPER = replace(
    DNN,
    source="openai/whisper-tiny.en",
    family="whisper",
    transfer=Transfer((Rule(r"encoder\..*", scale=0.0), Rule(r"objective\..*")), cut="layer2"),
    settings=replace(DNN.settings, steps=0, epochs=None),
    keywords=Keywords(loss="match"),
)
#: More words than ten digits, those of Czech dialogues by their actors, and the fourth layer beside the third.
WORDS = replace(
    WHISPER,
    data=("digits_en", "runs/prompts_words/cs"),
    transfer=replace(WHISPER.transfer, cut=None),
    keywords=Keywords(loss="match", layers=("layer2", "layer3"), embedding=128),
)
MANY = replace(WHISPER, source="many", family="conformer", transfer=replace(WHISPER.transfer, cut="layer3"))
#: What the metric is worth without any network.
LOGMEL = replace(WHISPER, source="logmel:80", family="dnn", transfer=Transfer())
RECIPES = {
    "dnn": DNN,
    "cnn": replace(DNN, source="random:cnn", family="cnn"),
    "compact": replace(DNN, source="random:compact", family="compact"),
    "whisper-metric": WHISPER,
    "words-metric": WORDS,
    "many-metric": MANY,
    "logmel-metric": LOGMEL,
}
