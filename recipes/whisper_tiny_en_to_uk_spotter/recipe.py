"""A spotter of ten Ukrainian digits for streams, from Whisper tiny.en's frozen encoder; one of five folds by speaker.

Command: SPEECHTRANSFER_DATA=... SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_uk_spotter
Expected: 84.7% of unseen speakers' recordings pass their thresholds, and the likeliest word is right for 95.9%
[91.8, 98.8] of 170; 22.0 false accepts an hour [13.8, 33.4] (16 events in 0.73 hours).
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
