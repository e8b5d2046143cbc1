"""Tests of the founding document's other network: its patches, its arithmetic, its state dict as a source."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from families import noise
from safetensors.torch import save_file
from torch import Tensor, nn

from speechtransfer.encoders.cnn import Cnn
from speechtransfer.errors import PlanError, SettingsError, SourceError
from speechtransfer.objectives import Classify
from speechtransfer.offers import offers
from speechtransfer.sources import load_encoder
from speechtransfer.transfer import Rule, Transfer, set_live
from speechtransfer.weights import sha256


class Mnist(nn.Module):
    """The network of PyTorch's MNIST example, whose ``forward`` the founding document's is, without output layer."""

    def __init__(self, size: int = 28, channels: tuple[int, int] = (32, 64), hidden: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], 3, 1)
        self.conv2 = nn.Conv2d(channels[0], channels[1], 3, 1)
        self.fc1 = nn.Linear(channels[1] * ((size - 4) // 2) ** 2, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        hidden: Tensor = torch.relu(self.fc1(torch.flatten(nn.functional.max_pool2d(x, 2), 1)))
        return hidden


@pytest.fixture(scope="module")
def mnist() -> Mnist:
    torch.manual_seed(3)
    return Mnist()


@pytest.fixture
def source(mnist: Mnist, tmp_path: Path) -> Path:
    folder = tmp_path / "shelf" / "mnist"
    folder.mkdir(parents=True)
    torch.save(mnist.state_dict(), folder / "pretrained_weights.pth")
    return folder


@torch.inference_mode()
def test_a_frame_is_what_the_example_makes_of_a_patch(
    source: Path, mnist: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, tensors = source / "pretrained_weights.pth", tmp_path / "net.safetensors"
    save_file(mnist.state_dict(), tensors)
    monkeypatch.setenv("SPEECHTRANSFER_SOURCES", str(source.parent))
    assert {one.name: one.family for one in offers()}["mnist"] == "cnn"
    wave, lengths = noise(16000, 3111)
    for name in ("mnist", source, path, tensors):
        encoder = load_encoder(name).eval()
        assert (encoder.family, encoder.width, encoder.period) == ("cnn", 128, pytest.approx(0.07))
        assert encoder.blocks == ("frontend", "layer0", "layer1", "layer2")
        assert encoder.card.sha256 == sha256(tensors if name == tensors else path)
        assert encoder.donor is not None
        assert torch.equal(encoder.donor.weight, mnist.fc2.weight)
        assert (encoder.donor.labels, encoder.donor.contract) == (None, None)
        frames = encoder(wave, lengths)
        mel, counts = encoder.mel(wave, lengths)  # type: ignore[operator]
        assert (counts.tolist(), frames.lengths.tolist()) == ([100, 20], [12, 1])
        for item, count in enumerate(frames.lengths.tolist()):
            padded = nn.functional.pad(mel[item], (0, 0, 0, 28))
            patches = torch.stack([padded[7 * number : 7 * number + 28].T[None] for number in range(count)])
            torch.testing.assert_close(frames.values[item, :count], mnist(patches))


def test_every_mel_frame_is_in_a_patch_and_four_hear_most() -> None:
    encoder = Cnn()
    mels = torch.arange(200)
    counts = encoder.frame_lengths(mels * 160)
    assert counts[:2].tolist() == [0, 1]
    reach = 28 + (counts[1:] - 1) * 7
    assert (reach >= mels[1:]).all()
    assert ((reach - 7 < mels[1:]) | (counts[1:] == 1)).all()
    assert encoder.frame_lengths(torch.tensor([1])).tolist() == [1]


def test_it_is_of_the_size_that_the_founding_document_has() -> None:
    encoder = load_encoder("random:cnn")
    assert encoder.settings() == {"size": 28, "hop": 7, "channels": [32, 64], "hidden": 128, "layers": 3}
    count = sum(value.numel() for value in encoder.parameters())
    assert count + 128 * 10 + 10 == 1_199_882  # with the ten outputs of the example
    assert [encoder.cut(name).width for name in encoder.blocks] == [784, 32 * 26 * 26, 64 * 12 * 12, 128]


def test_a_frozen_layer_drops_nothing_and_a_live_one_does() -> None:
    torch.manual_seed(0)
    wave, lengths = noise(8000)
    for frozen in ("layer1", "layer0"):
        encoder = Cnn(16, channels=(4, 6), hidden=20)
        rules = (Rule(encoder.pattern(frozen), scale=0), Rule(r".*"))
        model, plan = Transfer(rules, graft="fresh").apply(encoder, Classify(("no", "yes")))
        set_live(model, plan, 0)
        one, two = (model.encoder(wave, lengths).values for _ in range(2))
        assert torch.equal(one, two) == (frozen == "layer1")


def test_other_sizes_are_those_of_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    torch.save(Mnist(20, (4, 6), 12).state_dict(), path)
    encoder = load_encoder(path)
    assert encoder.settings() == {"size": 20, "hop": 7, "channels": [4, 6], "hidden": 12, "layers": 3}
    with pytest.raises(PlanError, match="no labels"):
        Transfer().apply(encoder, Classify(("no", "yes")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv2.bias": None}, r"missing: conv2\.bias"),
        ({"conv1.weight": None}, r"missing: conv1\.weight"),
        ({"conv3.weight": torch.zeros(2, 2)}, r"unexpected: conv3\.weight"),
        ({"conv1.weight": torch.zeros(32, 3, 3, 3)}, r"conv1\.weight is \(32, 3, 3, 3\), expected \(32, 1, 3, 3\)"),
        ({"conv2.weight": torch.zeros(64, 32, 5, 5)}, r"conv2\.weight is \(64, 32, 5, 5\), expected"),
        ({"fc1.weight": torch.zeros(128, 9000)}, r"fc1\.weight has 9000 inputs, which 64 channels of a square patch"),
        ({"fc2.weight": torch.zeros(10, 127)}, r"the output layer fc2 is \(10, 127\) with 10 biases"),
    ],
)
def test_every_key_is_accounted_for(source: Path, mnist: Mnist, change: dict[str, Tensor | None], message: str) -> None:
    state = {**mnist.state_dict(), **change}
    torch.save({key: value for key, value in state.items() if value is not None}, source / "pretrained_weights.pth")
    with pytest.raises(SourceError, match=message) as caught:
        load_encoder(source)
    assert str(source) in str(caught.value)


def test_sizes_that_cannot_be_built_are_refused() -> None:
    wrong = {"size": (0, 4, 27), "hop": (0, 29), "channels": ((0, 4), (4,)), "hidden": (0,), "layers": (-1, 4)}
    for name, value in ((name, value) for name, values in wrong.items() for value in values):
        with pytest.raises(SettingsError, match="cnn"):
            Cnn(**{name: value})  # type: ignore[arg-type]
