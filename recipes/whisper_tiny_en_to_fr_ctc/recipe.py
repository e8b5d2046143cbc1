"""Whisper tiny.en's encoder to French, across voices: learnt from one corpus, tested on the other as well.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_fr_ctc
Expected: CER 16.6% [12.8, 19.6] of 2,937 characters of the prompts' own voice, 57.1% [56.2, 58.1] of the
picture names'; 18.9% [16.3, 21.5] of 3,155 of the picture names' own, 45.2% [43.8, 46.6] of the prompts'.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

SPANISH = find("whisper_tiny_en_to_es_ctc")[1]["asterisk"]
ASTERISK = replace(
    SPANISH,
    name="whisper_tiny_en_to_fr_ctc",
    data=("debian:asterisk-fr",),
    language="fra",
    tests={"tuxpaint": "debian:tuxpaint-fr"},
)
TUXPAINT = replace(ASTERISK, data=("debian:tuxpaint-fr",), tests={"asterisk": "debian:asterisk-fr"})
RECIPES = {"asterisk": ASTERISK, "tuxpaint": TUXPAINT}
