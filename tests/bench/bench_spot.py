"""Prints how long a second of a stream takes to spot words in, live and from a file, beside encoding it once."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from speechtransfer.acceptance import Acceptance
from speechtransfer.model import Model
from speechtransfer.objectives import Classify
from speechtransfer.sources import load_encoder
from speechtransfer.stream import Spotter

SECONDS, RATE, PIECE = 60, 16_000, 0.1
SOURCES = ("random:dnn", "random:compact", "random:compact,planes=16", "random:conformer")


def share_of_real_time(work: Callable[[], object]) -> float:
    """Of the faster of two rounds over SECONDS of noise."""
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken) / SECONDS


def main() -> None:
    """Listen on one thread, in windows of 1.5 s five times a second, and print a table."""
    torch.set_num_threads(1)
    wave = (0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE)).astype(np.float32)
    pieces = np.split(wave, round(SECONDS / PIECE))
    print(f"{'encoder':26}{'live':>8}{'file':>8}{'encoded once':>14}{'file/once':>11}")
    for source in SOURCES:
        encoder = load_encoder(source)
        objective = Classify(("no", "yes"), acceptance=Acceptance({"no": 0.5, "yes": 0.5}, window=1.5))
        objective.attach(encoder.width, encoder.period)
        model = Model(encoder, objective).eval()

        def live(model: Model = model) -> None:
            spotter = Spotter(model)
            for piece in pieces:
                spotter.push(piece)

        def whole(model: Model = model) -> None:
            Spotter(model).push(wave)

        @torch.inference_mode()
        def once(model: Model = model) -> None:
            model.encoder(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))

        shares = [share_of_real_time(work) for work in (live, whole, once)]
        cells = "".join(f"{share:>{width}.1%}" for share, width in zip(shares, (8, 8, 14), strict=True))
        print(f"{source:26}{cells}{shares[1] / shares[2]:>11.1f}", flush=True)


if __name__ == "__main__":
    main()
