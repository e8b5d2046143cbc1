"""Fixtures that several test files share: tiny encoders, synthetic speech, and a corpus of tones."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # on two cores a tiny network is many times faster on one thread

if TYPE_CHECKING:
    from speechtransfer.audio import Recordings
    from speechtransfer.encoders.conformer import Conformer
    from speechtransfer.encoders.contract import Encoder
    from speechtransfer.fit import History
    from speechtransfer.manifest import Manifest
    from speechtransfer.model import Model
    from speechtransfer.objectives import Ctc
    from speechtransfer.schedule import FitSettings
    from speechtransfer.transfer import Plan, Rule

RATE = 16_000
SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"
#: Each letter of the corpus of tones is a third of a second of one frequency, in Hz.
TONES: Mapping[str, float] = {"a": 300.0, "b": 700.0, "c": 1500.0, "d": 3100.0}


@pytest.fixture
def tiny() -> Callable[..., Conformer]:
    """Makes conformers of some 3,000 values, always the same ones for a seed."""
    import torch

    from speechtransfer.encoders.conformer import Conformer, ConformerSettings
    from speechtransfer.features import MelSettings

    def make(seed: int = 0, **sizes: Any) -> Conformer:
        values = {"width": 16, "layers": 1, "heads": 2, "kernel": 3, "expansion": 1, "dropout": 0.1}
        torch.manual_seed(seed)
        return Conformer(ConformerSettings(mel=MelSettings(n_mels=20), **{**values, **sizes}))

    return make


@pytest.fixture(scope="session")
def normed() -> type[Encoder]:
    """A family with BatchNorm and dropout that does not pad exactly: it subtracts its mean over all frames."""
    import torch
    from torch import Tensor, nn

    from speechtransfer.encoders.contract import Encoder, SourceCard
    from speechtransfer.features import LogMel, MelSettings

    class Normed(Encoder):
        family = "normed"
        causal = False
        pads_exactly = False
        sample_rate = RATE

        def __init__(self) -> None:
            super().__init__(SourceCard("normed with random weights"))
            torch.manual_seed(0)
            self.mel = LogMel(MelSettings(n_mels=20))
            self.norm = nn.BatchNorm1d(20)
            self.drop = nn.Dropout(0.5)
            self.stride = nn.Conv1d(20, 16, 4, stride=4)
            self.mix = nn.Linear(16, 16)
            self.mix_norm = nn.BatchNorm1d(16)
            self.width, self.period, self.blocks = 16, 4 * self.mel.period, ("frontend", "layer0")

        @classmethod
        def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Normed:
            return cls()

        def settings(self) -> dict[str, Any]:
            return {}

        def frame_lengths(self, samples: Tensor) -> Tensor:
            return self.mel.frame_count(samples) // 4

        def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            if name == "frontend":
                x, lengths = self.mel(x, lengths)
                x = self.drop(self.norm(self._augmented(x, lengths).transpose(1, 2)))
                return self.stride(x).transpose(1, 2), lengths // 4
            x = self.mix_norm(self.mix(x).transpose(1, 2)).transpose(1, 2)
            return x - x.mean(1, keepdim=True), lengths

        def _drop_after(self, name: str) -> None:
            raise NotImplementedError

    return Normed


@pytest.fixture(scope="session")
def synthetic() -> Manifest:
    """Twenty utterances of synthetic English, without splits."""
    from speechtransfer.corpora import load

    return load(str(SYNTHETIC))


@pytest.fixture(scope="session")
def recordings() -> Recordings:
    """A reader at 16 kHz."""
    from speechtransfer.audio import Recordings

    return Recordings(RATE)


def tone(text: str, rate: int = RATE, seconds: float = 1 / 3) -> np.ndarray:
    """The sound (S,) of a text over the letters of ``TONES``."""
    time = np.arange(round(seconds * rate)) / rate
    return np.concatenate([0.3 * np.sin(2 * np.pi * TONES[letter] * time) for letter in text]).astype(np.float32)


def write_tones(folder: Path, texts: Sequence[str], split: str | None = None) -> Manifest:
    """A manifest of WAV files, one a text."""
    from speechtransfer.audio import write_wav
    from speechtransfer.manifest import Manifest, Utterance

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, text in enumerate(texts):
        path = folder / f"{split or 'all'}{number}.wav"
        write_wav(path, tone(text), RATE)
        rows.append(Utterance(path, text=text, split=split))
    return Manifest(tuple(rows))


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Tones with the splits train (10 rows), dev (3) and test (3)."""
    from speechtransfer.manifest import Manifest

    folder = tmp_path_factory.mktemp("tones")
    train = ("ab", "ba", "abc", "cab", "bc", "dab", "bad", "cd", "dc", "abcd")
    parts = [write_tones(folder, train, "train")]
    parts += [
        write_tones(folder, texts, split)
        for split, texts in (("dev", ("ac", "bd", "cba")), ("test", ("ca", "db", "dba")))
    ]
    return Manifest(tuple(row for part in parts for row in part))


@pytest.fixture
def join(tiny: Callable[..., Conformer], tones: Manifest) -> Callable[..., tuple[Model, Plan]]:
    """Makes a model for the tones and its plan, always from the same random weights."""
    import torch

    from speechtransfer.objectives import Ctc
    from speechtransfer.transfer import Rule, Transfer
    from speechtransfer.vocabulary import Vocabulary

    vocabulary = Vocabulary.from_texts(row.text for row in tones.split("train"))

    def make(
        rules: tuple[Rule, ...] = (Rule(r".*"),), encoder: Encoder | None = None, kind: type[Ctc] = Ctc, **sizes: Any
    ) -> tuple[Model, Plan]:
        source = encoder or tiny(**sizes)
        torch.manual_seed(5)
        return Transfer(rules).apply(source, kind(vocabulary, dropout=sizes.get("dropout", 0.1)))

    return make


@pytest.fixture
def train(tones: Manifest, recordings: Recordings) -> Callable[..., History]:
    """``fit`` of a joined model on the tones."""
    from speechtransfer.fit import fit

    def run(joined: tuple[Model, Plan], settings: FitSettings, *place: Any, **options: Any) -> History:
        splits = tones.split("train"), tones.split("dev")
        return fit(*joined, *splits, settings, *place, recordings=recordings, **options)

    return run


@pytest.fixture(scope="session")
def listener() -> Model:
    """A recogniser of tones whose alignments are known: it hears which tone each 20 ms is, and silence as a space."""
    import torch
    from torch import Tensor

    from speechtransfer.encoders.contract import Encoder, SourceCard
    from speechtransfer.model import Model
    from speechtransfer.objectives import Ctc
    from speechtransfer.vocabulary import Vocabulary

    class Listener(Encoder):
        family, causal, pads_exactly, sample_rate = "listener", True, True, RATE
        blocks, width, period, hop = ("frontend",), 1 + len(TONES), 0.02, RATE // 50

        @classmethod
        def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Listener:
            return cls(SourceCard("listener"))

        def settings(self) -> dict[str, Any]:
            return {}

        def frame_lengths(self, samples: Tensor) -> Tensor:
            return samples // self.hop

        def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            """Loudness of each tone in each frame, and silence before them."""
            time = torch.arange(self.hop) / RATE
            tones = torch.exp(2j * torch.pi * torch.tensor([*TONES.values()])[:, None] * time)
            loud = (x.unfold(1, self.hop, self.hop).to(tones.dtype) @ tones.T).abs() / self.hop
            return torch.cat([0.05 + torch.zeros_like(loud[..., :1]), loud], -1), lengths // self.hop

        def _drop_after(self, name: str) -> None:
            raise NotImplementedError

    encoder, objective = Listener(SourceCard("listener")), Ctc(Vocabulary((" ", *TONES)))
    objective.attach(encoder.width, encoder.period)
    assert objective.output is not None
    with torch.no_grad():
        objective.output.weight.copy_(torch.cat([torch.zeros(1, encoder.width), 80 * torch.eye(encoder.width)]))
        objective.output.bias.zero_()[0] = 2.0  # less than silence says of the space, far less than a tone of itself
    return Model(encoder, objective).eval()


@pytest.fixture(scope="session")
def spoken() -> Callable[[str], np.ndarray]:
    """Makes the sound (S,) of words over the letters of ``TONES``: 0.12 s a letter, 0.3 s of silence for a space."""

    def say(text: str) -> np.ndarray:
        silence = np.zeros(round(0.3 * RATE), dtype=np.float32)
        return np.concatenate([silence if letter == " " else tone(letter, seconds=0.12) for letter in text])

    return say


@pytest.fixture
def story(tmp_path: Path, spoken: Callable[[str], np.ndarray]) -> Callable[..., tuple[Path, list]]:
    """Writes utterances with pauses of 0.4 to 1 s around them; gives the file, and seconds of each."""
    from speechtransfer.audio import write_flac, write_wav

    def tell(
        said: Sequence[str], name: str = "story.wav", least: float = 0.4
    ) -> tuple[Path, list[tuple[float, float]]]:
        draw, pieces, times, at = np.random.default_rng(0), [], [], 0
        for text in ("", *said):
            wave = spoken(text) if text else np.zeros(0, np.float32)
            pieces += [wave, np.zeros(round(draw.uniform(least, 1.0) * RATE), np.float32)]
            times.append((at / RATE, (at + len(wave)) / RATE))
            at += len(wave) + len(pieces[-1])
        sound = np.concatenate(pieces) + 1e-4 * draw.standard_normal(at).astype(np.float32)
        write = write_flac if name.endswith(".flac") else write_wav
        write(tmp_path / name, sound, RATE)
        return tmp_path / name, times[1:]

    return tell
