"""From Speech Commands' English words to Kinyarwanda ones of the Multilingual Spoken Words Corpus, in its own splits.

Command: SPEECHTRANSFER_DATA=... speechtransfer run recipes/speechcommands_to_mswc_kin_keywords, after
    recipes/source_speechcommands
Expected: not yet run on the full data; shown on a folder of the same layout alone.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

WORDS = ("abantu", "igihe", "amazi", "imana", "kigali", "rwanda", "umwana", "ubuzima", "igihugu", "umuntu")
RECIPES = {
    variant: replace(
        recipe,
        name="speechcommands_to_mswc_kin_keywords",
        data=("mswc/rw",),
        language="kin",
        keywords=replace(recipe.keywords, words=WORDS),
    )
    for variant, recipe in find("speechcommands_to_mswc_spa_keywords")[1].items()
}
