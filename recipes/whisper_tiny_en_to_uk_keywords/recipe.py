"""Whisper tiny.en's frozen encoder to ten Ukrainian digits by 88 speakers; five folds by speaker.

Command: SPEECHTRANSFER_DATA=... SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_uk_keywords
Expected: accuracy 99.0% [98.2, 99.7] of 879 (9 errors) by speakers whom it never heard; 96 seconds of training in all.
"""

from dataclasses import replace

from speechtransfer.defaults import defaults
from speechtransfer.recipe import Scratch

RECIPE = replace(
    defaults("digits_uk", "openai/whisper-tiny.en", "whisper", "ukr", "keywords"),
    name="whisper_tiny_en_to_uk_keywords",
    speaker_pattern=r"/(\w+)\.mp3$",
    scratch=Scratch(folds=0),
)
