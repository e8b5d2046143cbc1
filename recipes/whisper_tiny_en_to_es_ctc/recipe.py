"""Whisper tiny.en's encoder to Spanish, across voices: learnt from one corpus, tested on the other as well.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_es_ctc
Expected: CER 7.1% [4.7, 10.0] of 2,973 characters of the prompts' own voice, 55.1% [54.0, 56.3] of the picture names';
13.0% [10.6, 15.2] of 3,047 of the picture names' own, 37.5% [36.1, 39.2] of the prompts'.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

RUSSIAN = find("whisper_tiny_en_to_ru_ctc")[1]["tuxpaint"]
ASTERISK = replace(
    RUSSIAN,
    name="whisper_tiny_en_to_es_ctc",
    data=("debian:asterisk-es",),
    language="spa",
    tests={"tuxpaint": "debian:tuxpaint-es"},
)
TUXPAINT = replace(ASTERISK, data=("debian:tuxpaint-es",), tests={"asterisk": "debian:asterisk-es"})
RECIPES = {"asterisk": ASTERISK, "tuxpaint": TUXPAINT}
