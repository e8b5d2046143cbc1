"""A spotter of ten Ukrainian digits for streams, from Whisper tiny.en's frozen encoder; five folds by speaker.

Command: SPEECHTRANSFER_DATA=... SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_uk_spotter
Expected: 89.8% of unseen speakers' recordings pass their threshold, and the likeliest word is right for 96.9% [95.6,
98.2] of 879; 8.3 false accepts an hour [5.6, 11.8] (22 events in 2.66 hours).
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.defaults import defaults

RECIPE = replace(
    defaults("digits_uk", "openai/whisper-tiny.en", "whisper", "ukr", "keywords"),
    name="whisper_tiny_en_to_uk_spotter",
    speaker_pattern=r"/(\w+)\.mp3$",
    # Real speech in which no Ukrainian digit is said.
    negatives=(*(f"debian:asterisk-{language}" for language in ("en", "es", "fr", "it")), "debian:fillets-nl"),
    scratch=Scratch(folds=0),
)
