"""XLS-R (300M, 128 languages) to Swahili on Common Voice, in the release's own splits.

Command: SPEECHTRANSFER_DATA=... speechtransfer run recipes/xlsr_to_swh_commonvoice_ctc
Expected: not yet run on the full data; shown on a folder of the same layout alone.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.defaults import defaults

#: What ``adapt`` does with this source, without a baseline of its size.
RECIPE = replace(
    defaults("cv-corpus/sw", "facebook/wav2vec2-xls-r-300m", "waveform", "swh"),
    name="xlsr_to_swh_commonvoice_ctc",
    scratch=Scratch(folds=0),
)
