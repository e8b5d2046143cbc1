"""How much time a clip's own length saves: our Whisper encoder against transformers' own, padded to 30 s.

Run: python tests/bench/bench_whisper.py
Prints, for clips of several lengths, our time over theirs in one process; random weights, tiny's sizes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from transformers.models.whisper.configuration_whisper import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from speechtransfer.encoders.whisper import Whisper

RATE = 16_000
REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """Median time of a few runs after one to warm up."""
    work()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[REPEATS // 2]


def main() -> None:
    """Print the ratios."""
    config = WhisperConfig(d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536)
    ours, theirs = Whisper(config).eval(), WhisperEncoder(config).eval()
    padded = torch.randn(1, config.num_mel_bins, 3000)
    with torch.inference_mode():
        whole = seconds(lambda: theirs(padded))
        for length in (1, 3, 10, 30):
            wave, lengths = torch.randn(1, length * RATE), torch.tensor([length * RATE])
            own = seconds(lambda wave=wave, lengths=lengths: ours(wave, lengths))
            print(f"{length:3d} s clip: {own / whole:.3f} of the padded encoder's time (ours includes the log-mel)")


if __name__ == "__main__":
    main()
