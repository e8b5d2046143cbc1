"""XLS-R (300M, 128 languages) to Tatar on Common Voice, in the release's own splits.

Command: SPEECHTRANSFER_DATA=... speechtransfer run recipes/xlsr_to_tat_commonvoice_ctc
Expected: not yet run on the full data; shown on a folder of the same layout alone.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

SWAHILI = find("xlsr_to_swh_commonvoice_ctc")[1]["default"]
RECIPE = replace(SWAHILI, name="xlsr_to_tat_commonvoice_ctc", data=("cv-corpus/tt",), language="tat")
