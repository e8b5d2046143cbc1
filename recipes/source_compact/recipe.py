"""A source for spotters that must stay small: `compact` on five hours of nine languages, taught by Whisper tiny.en.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/source_compact
Expected: CER 78.4% [77.6, 79.2] of 13,519 characters of its own languages, and no better words: see its README.
"""

from dataclasses import replace

from speechtransfer.catalogue import find
from speechtransfer.recipe import Distillation

TAUGHT = find("source_many")[1]["default"]
RECIPE = replace(
    TAUGHT,
    name="source_compact",
    source="random:compact",
    family="compact",
    # The third of four layers, by which recordings of words are told apart best (whisper_tiny_en_to_uk_keywords).
    distillation=Distillation("openai/whisper-tiny.en", block="layer2"),
    settings=replace(TAUGHT.settings, epochs=20, lr=3e-3, evaluations=5),
)
