"""To ten Ukrainian digits by 88 speakers from small networks: those of ten English digits, and our own source.

Command: SPEECHTRANSFER_DATA=... speechtransfer run recipes/digits_en_to_uk_keywords, after recipes/source_digits_en
Expected: accuracy 89.6% [87.0, 92.0] of 879 from five recordings of each word by speakers whom it never heard
(many-5clips), 58.4, 77.8 and 93.1% from one, two and ten; from one 73.4%, from five 93.0% [91.7, 94.4] by many-match;
from compact's English digits 54.3%, and 30.9, 40.6 and 60.4%; the best from scratch 60.0%, from one, two and ten 22.5,
33.8, 81.6%. From all recordings many 98.3% [97.2, 99.3], 94.5% from scratch; English digits are a handicap: compact
78.8%, 88.5% from scratch, 88.4% taught, 92.3% with planes, 95.8% with narrower masks and more speeds beside them,
96.8% by parts; dnn 57.1, 69.6%; cnn 83.2, 92.3%. One, two and ten clips: dnn 34.0, 44.0, 69.1%, cnn 35.5, 46.5, 74.2%.
"""

from dataclasses import replace

from speechtransfer.augmentation import Surroundings
from speechtransfer.baseline import Scratch
from speechtransfer.batches import BatchSettings
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings, MaskSettings
from speechtransfer.spotting import Keywords
from speechtransfer.transfer import Rule, Transfer

DNN = Recipe(
    name="digits_en_to_uk_keywords",
    data=("digits_uk",),
    source="runs/digits_en_dnn",
    family="dnn",
    task="keywords",
    language="ukr",
    # A label is no letter: the English row of "3" says nothing of the Ukrainian word.
    transfer=Transfer((Rule(r"encoder\..*"), Rule(r"objective\..*")), graft="fresh"),
    settings=FitSettings(epochs=30, lr=1e-3, evaluations=6),
    speaker_pattern=r"/(\w+)\.mp3$",
    scratch=Scratch(rates=(3e-4, 1e-3, 3e-3), search=0.5, factor=2.0, folds=5),
)
CNN = replace(DNN, source="runs/digits_en_cnn", family="cnn")
COMPACT = replace(DNN, source="runs/source_digits_en/compact", family="compact")
#: The same small network from nine languages and under Whisper tiny.en (`recipes/source_compact`), trained for as long
#: and at the same rate as what was best from nothing.
TAUGHT = replace(
    COMPACT,
    source="runs/source_compact/default",
    settings=replace(COMPACT.settings, epochs=60, lr=3e-3),
    scratch=Scratch(folds=0),
)
#: With two convolutions over time and bands before all others, from nothing, at the rate and length that were best so.
PLANES = replace(TAUGHT, source="random:compact,planes=16")
#: The same, at nine speeds from 0.8 to 1.25, since formants move with the speed, with masks of at most eight of its
#: forty bands, eighteen being too many, and what is learnt at the end: forty recordings of dev choose by chance.
VOICES = replace(
    PLANES,
    settings=replace(
        PLANES.settings,
        evaluations=1,
        batches=BatchSettings(speeds=(0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.175, 1.25)),
        masks=MaskSettings(freq_width=8),
    ),
)
#: The same, by the means of both halves and the maximum: a mean over all frames forgets in which order they came.
PARTS = replace(VOICES, keywords=Keywords(pooling="parts"))
#: By the mean again, in noise and rooms: what is learnt by heart leaves the last errors.
ROOMS = replace(
    VOICES,
    settings=replace(
        VOICES.settings, batches=replace(VOICES.settings.batches, surroundings=Surroundings(noise=0.5, room=0.3))
    ),
)
#: From nothing, on five recordings of each word, drawn anew four times on each of five folds.
SCRATCH = replace(
    COMPACT,
    source="random:compact",
    train_clips=5,
    draws=4,
    settings=replace(COMPACT.settings, epochs=None, steps=200),
    scratch=Scratch(folds=0),
)
#: The same, drawn once on each fold, by what is best from nothing with all recordings, for much longer.
PLANES_SCRATCH = replace(PARTS, train_clips=5, settings=replace(PARTS.settings, epochs=200))


def few(recipe: Recipe, clips: int, cut: str) -> Recipe:
    """Prototypes of so many recordings of each word: nothing is trained. Cuts were chosen on the first fold's dev."""
    return replace(
        recipe,
        train_clips=clips,
        draws=4,
        transfer=replace(recipe.transfer, cut=cut),
        keywords=Keywords(loss="prototypes", pooling="parts"),
        settings=replace(recipe.settings, steps=0, epochs=None),
        scratch=Scratch(folds=0),
    )


MANY = replace(DNN, source="many", family="conformer")


def matched(recipe: Recipe, clips: int, metric: str) -> Recipe:
    """So many recordings of each word, compared frame by frame, in directions that English digits taught."""
    return replace(
        few(recipe, clips, ""),
        source=f"runs/source_digits_en/{metric}-metric",
        transfer=replace(recipe.transfer, graft="shared"),
        keywords=Keywords(loss="match", metric="source"),
    )


LOGMEL = replace(DNN, transfer=replace(DNN.transfer, rules=(Rule(r".*"),)))
RECIPES = {
    "dnn": DNN,
    "compact": COMPACT,
    "cnn": CNN,
    "compact-taught": TAUGHT,
    "compact-planes": PLANES,
    "compact-planes-voices": VOICES,
    "compact-planes-parts": PARTS,
    "compact-planes-rooms": ROOMS,
    "many": MANY,
    "scratch-5clips": SCRATCH,
    **{f"scratch-planes-{clips}clips": replace(PLANES_SCRATCH, train_clips=clips) for clips in (1, 2, 5, 10)},
    **{f"compact-{clips}clips": few(COMPACT, clips, "layer1") for clips in (1, 2, 5, 10)},
    **{f"taught-{clips}clips": few(TAUGHT, clips, "layer1") for clips in (1, 2, 5, 10)},
    **{f"many-{clips}clips": few(MANY, clips, "layer2") for clips in (1, 2, 5, 10)},
    **{f"many-match-{clips}clips": matched(MANY, clips, "many") for clips in (1, 2, 5, 10)},
    **{f"logmel-match-{clips}clips": matched(LOGMEL, clips, "logmel") for clips in (1, 5)},
    **{f"dnn-{clips}clips": few(DNN, clips, "layer1") for clips in (1, 2, 5, 10)},
    **{f"cnn-{clips}clips": few(CNN, clips, "layer2") for clips in (1, 2, 5, 10)},
}
