"""Whisper tiny.en's frozen encoder to ten Ukrainian digits by 88 speakers; five folds by speaker.

Command: SPEECHTRANSFER_DATA=... SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_uk_keywords
Expected: accuracy 99.0% [98.2, 99.7] of 879 (9 errors) by speakers whom it never heard; 96 seconds of training in all.
By recordings that are compared frame by frame, without training, 99.2% [98.5, 99.7] (match, 7 errors). From five of
each word, over 20 draws of them: 96.8% [95.6, 97.9] (5clips), 97.7% [97.0, 98.4] (match-5clips), 98.3% [97.4, 99.0]
(words-5clips); from one 87.8% [86.6, 88.9] (words-1clip), of one speaker's 93.0% [92.0, 94.0] (words-1speaker).
"""

from dataclasses import replace

from speechtransfer.augmentation import Surroundings
from speechtransfer.baseline import Scratch
from speechtransfer.defaults import defaults
from speechtransfer.recipe import Recipe
from speechtransfer.spotting import Keywords

ALL = replace(
    defaults("digits_uk", "openai/whisper-tiny.en", "whisper", "ukr", "keywords"),
    name="whisper_tiny_en_to_uk_keywords",
    speaker_pattern=r"/(\w+)\.mp3$",
    scratch=Scratch(folds=0),
    keywords=Keywords(),  # which of ten words, not whether any
)
#: Chosen on speakers of the first fold who are not in its test: its dev, and those whose clips were not drawn.
FIVE = replace(
    ALL,
    train_clips=5,
    draws=20,
    transfer=replace(ALL.transfer, cut="layer2"),
    keywords=Keywords(loss="prototypes", pooling="parts"),
    settings=replace(ALL.settings, steps=0, epochs=None),
)
#: All recordings by a linear layer over what five are compared by.
PARTS = replace(ALL, transfer=FIVE.transfer, keywords=Keywords(pooling="parts"))
#: The same by recordings that are compared frame by frame, in directions that English digits taught.
MATCH = replace(
    FIVE,
    source="runs/source_digits_en/whisper-metric",
    transfer=replace(FIVE.transfer, cut=None, graft="shared"),
    keywords=Keywords(loss="match", metric="source"),
)
#: The same by two layers, in directions that Czech words taught beside the English digits.
WORDS = replace(
    MATCH,
    source="runs/source_digits_en/words-metric",
    keywords=replace(MATCH.keywords, layers=("layer2", "layer3"), embedding=128),
)
#: As a user begins: one or a few people say every word once.
SPEAKERS = {
    f"{name}{count}speaker{'s' * (count > 1)}": replace(recipe, train_clips=None, train_speakers=count)
    for name, recipe in (("", FIVE), ("match-", MATCH), ("words-", WORDS))
    for count in (1, 2, 5, 10)
}
MATCHED = {
    f"{name}-{clips}clip{'s' * (clips > 1)}": replace(recipe, train_clips=clips)
    for name, recipe in (("match", MATCH), ("words", WORDS))
    for clips in (1, 2, 5, 10)
} | {name: replace(recipe, train_clips=None, draws=1) for name, recipe in (("match", MATCH), ("words", WORDS))}
FEW = {f"{clips}clip{'s' * (clips > 1)}": replace(FIVE, train_clips=clips) for clips in (5, 1, 2, 10)}


def opened(recipe: Recipe) -> Recipe:
    """Five of the digits are words to spot, and the other five are first met in the test."""
    return replace(recipe, keywords=replace(recipe.keywords, words=("0", "1", "2", "3", "4"), others="unseen"))


OPEN = opened(ALL)
#: The test once more in rooms and noise, and what copies of the training recordings in such are worth there.
ROOMS = replace(ALL, keywords=Keywords(surroundings=Surroundings(noise=1.0, snr=(0.0, 20.0), room=0.5)))
RECIPES = {
    "default": ALL,
    "parts": PARTS,
    **FEW,
    **SPEAKERS,
    **MATCHED,
    # By a metric of the recordings themselves: what the English digits add.
    "match-own-5clips": replace(MATCHED["match-5clips"], keywords=Keywords(loss="match")),
    "open": OPEN,
    "open-energy": replace(OPEN, keywords=replace(OPEN.keywords, rejection="energy")),
    **{f"open{amount}": opened(recipe) for amount, recipe in FEW.items()},
    "rooms": ROOMS,
    "rooms-copies": replace(ROOMS, keywords=replace(ROOMS.keywords, copies=3)),
}
