"""Whisper tiny.en's encoder to Romanian: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_ro_ctc
Expected: CER 14.0% [11.4, 16.4] of 2,995 characters on four minutes (one fold), 35.1% from scratch: 60.3% relative;
7.0% [5.2, 8.8] on all, 19.8% from scratch: 64.5%.
"""

from speechtransfer.catalogue import find, of_language

RUSSIAN = find("whisper_tiny_en_to_ru_ctc")[1]
RECIPES = {
    variant: of_language(RUSSIAN[variant], "whisper_tiny_en_to_ro_ctc", "debian:tuxpaint-ro", "ron")
    for variant in ("4min", "all")
}
