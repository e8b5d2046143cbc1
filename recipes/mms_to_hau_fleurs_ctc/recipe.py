"""MMS (300M, 1,400 languages) to Hausa on FLEURS, in its own splits; and MMS with Hausa's adapter, which can read it.

Command: speechtransfer run recipes/mms_to_hau_fleurs_ctc
Expected: not yet run on the full data; shown on rows of the same columns alone.
"""

from dataclasses import replace

from speechtransfer.catalogue import find
from speechtransfer.textsettings import ContractSettings

RECIPES = {
    variant: replace(
        recipe,
        name="mms_to_hau_fleurs_ctc",
        data=("hub:google/fleurs:ha_ng",),
        language="hau",
        source_language=recipe.source_language and "hau",
        contract=ContractSettings(rules="language", digits="keep"),  # the glottal stop that begins words
    )
    for variant, recipe in find("mms_to_yor_fleurs_ctc")[1].items()
}
