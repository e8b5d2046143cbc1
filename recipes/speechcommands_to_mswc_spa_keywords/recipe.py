"""From Speech Commands' English words to Spanish ones of the Multilingual Spoken Words Corpus, in its own splits.

Command: SPEECHTRANSFER_DATA=... speechtransfer run recipes/speechcommands_to_mswc_spa_keywords, after
    recipes/source_speechcommands
Expected: not yet run on the full data; shown on a folder of the same layout alone.
"""

from dataclasses import replace

from speechtransfer.catalogue import find
from speechtransfer.spotting import Keywords

#: Common words of several syllables; all others are first met in the test.
WORDS = ("tiempo", "ciudad", "agua", "noche", "mundo", "casa", "trabajo", "familia", "historia", "gobierno")
ALL = replace(
    find("digits_en_to_uk_keywords")[1]["compact"],
    name="speechcommands_to_mswc_spa_keywords",
    data=("mswc/es",),
    source="runs/source_speechcommands/default",
    language="spa",
    speaker_pattern=None,  # the tables name it
    keywords=Keywords(words=WORDS, others="unseen"),
)
RECIPES = {"default": ALL, "5clips": replace(ALL, train_clips=5, draws=4)}
