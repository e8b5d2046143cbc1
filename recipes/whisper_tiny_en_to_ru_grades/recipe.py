"""A number for a recording: how fast Russian is spoken, from Whisper tiny.en's frozen encoder; five folds by prompt.

Command: python recipes/whisper_tiny_en_to_ru_grades/make.py runs/rates/ru.jsonl,
    then SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_ru_grades
Expected: mean error 0.89 [0.82, 0.97] letters a second over 460 prompts, correlation 0.81 [0.77, 0.84]; on the first
fold 0.93 against 1.26 from scratch.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.defaults import defaults

RECIPE = replace(
    defaults("runs/rates/ru.jsonl", "openai/whisper-tiny.en", "whisper", "rus", "grades"),
    name="whisper_tiny_en_to_ru_grades",
    # Whisper from random weights would take hours on two processors.
    scratch=Scratch(rates=(1e-3,), factor=0.5, folds=1, network="random:conformer"),
)
