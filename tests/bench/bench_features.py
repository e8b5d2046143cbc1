"""Prints how long an hour of audio takes in our front ends, in librosa's and in torchaudio's, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
import torch
from torchaudio.compliance import kaldi
from transformers import WhisperFeatureExtractor

from speechtransfer.features import Cmvn, KaldiFbank, LogMel, MelSettings, SpecAugment

BATCH, SECONDS, RATE, ROUNDS = 8, 10, 16000, 7


def seconds_an_hour(work: Callable[[], object]) -> float:
    """The fastest of some rounds over BATCH utterances of SECONDS, as seconds for an hour of audio."""
    work()
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken) * 3600 / (BATCH * SECONDS)


def main() -> None:
    """Time each front end on one thread beside its oracle and print a table."""
    torch.set_num_threads(1)
    waves = 0.1 * np.random.default_rng(0).standard_normal((BATCH, SECONDS * RATE), dtype=np.float32)
    wave, lengths = torch.from_numpy(waves), torch.full((BATCH,), SECONDS * RATE)
    whisper, htk, fbank = LogMel(), LogMel(MelSettings("htk")), KaldiFbank()
    extract = WhisperFeatureExtractor()
    options: dict[str, Any] = {"sr": RATE, "n_fft": 400, "hop_length": 160, "n_mels": 80}

    def by_librosa(**more: Any) -> list[np.ndarray]:
        return [np.log(librosa.feature.melspectrogram(y=one, **options, **more) + 1e-10) for one in waves]

    def by_torchaudio() -> list[torch.Tensor]:
        return [kaldi.fbank(one[None] * 32768, num_mel_bins=80, dither=0.0) for one in wave]

    def by_whisper() -> object:
        return extract(list(waves), sampling_rate=RATE, padding="longest", return_tensors="np")

    rows = (
        ("log-mel htk", lambda: htk(wave, lengths), "librosa", lambda: by_librosa(htk=True, norm=None)),
        ("log-mel whisper", lambda: whisper(wave, lengths), "librosa", by_librosa),
        ("log-mel whisper", lambda: whisper(wave, lengths), "transformers", by_whisper),
        ("Kaldi fbank", lambda: fbank(wave, lengths), "torchaudio", by_torchaudio),
    )
    print(f"seconds for an hour of audio at {RATE} Hz, one torch thread\n")
    print(f"{'front end':<18}{'ours':>8}   {'other':<14}{'theirs':>8}   {'ours / theirs':>13}")
    for name, ours, other, theirs in rows:
        mine, its = seconds_an_hour(ours), seconds_an_hour(theirs)
        print(f"{name:<18}{mine:>8.2f}   {other:<14}{its:>8.2f}   {mine / its:>13.2f}")
    values, frames = fbank(wave, lengths)
    cmvn, augment = Cmvn(80, "utterance"), SpecAugment()
    print(f"{'Cmvn utterance':<18}{seconds_an_hour(lambda: cmvn(values, frames)):>8.2f}")
    print(f"{'SpecAugment':<18}{seconds_an_hour(lambda: augment(values, frames, range(BATCH))):>8.2f}")


if __name__ == "__main__":
    main()
