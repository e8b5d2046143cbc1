"""Whisper tiny.en's encoder to Romanian: names of pictures, wide band.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_ro_ctc
Expected: CER 13.0% [12.0, 14.0] of 13,854 characters on four minutes (five folds), 33.8% from scratch: 61.5% relative;
7.0% [5.2, 8.8] of 2,995 on all (one fold), 19.8% from scratch: 64.5%.
"""

from speechtransfer.catalogue import find, of_language

RUSSIAN = find("whisper_tiny_en_to_ru_ctc")[1]
RECIPES = {
    variant: of_language(RUSSIAN[variant], "whisper_tiny_en_to_ro_ctc", "debian:tuxpaint-ro", "ron")
    for variant in ("4min", "all")
}
