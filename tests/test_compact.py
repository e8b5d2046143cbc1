"""Tests of the causal encoder: no frame hears later sound, and a stream gives the frames of the whole, however cut."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from families import CARD, COMPACT, build, noise, settled
from torch import Tensor

from speechtransfer.encoders import family
from speechtransfer.encoders.causal import Stream
from speechtransfer.encoders.compact import Compact
from speechtransfer.errors import AudioError, PlanError, SettingsError
from speechtransfer.features import Cmvn, CmvnStatistics
from speechtransfer.objectives import Ctc
from speechtransfer.sources import load_encoder
from speechtransfer.transfer import Transfer, set_live
from speechtransfer.vocabulary import Vocabulary

SECOND = 16_000


def sound(samples: int, seed: int = 0) -> Tensor:
    """Noise that comes and goes, with digital silence in it."""
    generator = torch.Generator().manual_seed(seed)
    wave = torch.randn(samples, generator=generator) * torch.linspace(0, 20, samples).sin()
    wave[samples // 3 : samples // 2] = 0.0
    return 0.1 * wave


def pieces(samples: int, seed: int) -> list[int]:
    """Sizes that add up to ``samples``: nothing, single samples, a few, and many."""
    generator = torch.Generator().manual_seed(seed)
    sizes: list[int] = []
    while sum(sizes) < samples:
        most = (1, 2, 200, 4000)[int(torch.randint(4, (1,), generator=generator))]
        sizes.append(int(torch.randint(most + 1, (1,), generator=generator)))
    sizes[-1] -= sum(sizes) - samples
    return sizes


def with_planes(planes: int) -> Compact:
    """A small one with settled norms, with planes before its convolutions or without."""
    encoder = settled(family("compact").from_settings({**COMPACT, "planes": planes}, CARD))
    assert isinstance(encoder, Compact)
    return encoder


def heard(encoder: Compact, wave: Tensor, sizes: list[int]) -> Tensor:
    """The frames (T, D) of a stream, of which each is given as soon as it can be."""
    stream, parts, done = encoder.stream(), [], 0
    for piece in wave.split(sizes):
        frames = stream.push(piece)
        parts.append(frames.values)
        done += len(piece)
        assert frames.lengths.tolist() == [frames.values.shape[1]]
        assert frames.period == encoder.period
        assert sum(part.shape[1] for part in parts) == encoder.frame_lengths(torch.tensor(done))
    return torch.cat(parts, 1)[0]


@pytest.mark.parametrize("planes", [0, 3])
@pytest.mark.parametrize("seed", range(8))
@torch.inference_mode()
def test_a_stream_gives_the_frames_of_the_whole(seed: int, planes: int) -> None:
    encoder = with_planes(planes)
    wave = sound(3 * SECOND + 77 * seed, seed)
    for block in (encoder.blocks[seed % 4], encoder.blocks[-1]):
        cut = encoder.cut(block)
        whole = cut(wave[None], torch.tensor([len(wave)])).values[0]
        found = heard(cut, wave, pieces(len(wave), seed))  # type: ignore[arg-type]
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_stream_of_full_size_takes_single_hops_and_the_whole_at_once() -> None:
    torch.manual_seed(0)
    encoder, wave = Compact().eval(), sound(2 * SECOND + 5)
    whole = encoder(wave[None], torch.tensor([len(wave)])).values[0]
    for size in (160, 7001, len(wave)):
        sizes = [len(part) for part in wave.split(size)]
        torch.testing.assert_close(heard(encoder, wave, sizes), whole, rtol=0, atol=1e-5)
    assert heard(encoder, wave[:159], [100, 0, 59]).shape == (0, 72)


@pytest.mark.parametrize(("planes", "before"), [(0, 2 * 40), (16, 2 * 40 + 2 * 19 * 16 + 2 * 8 * 32)])
@torch.inference_mode()
def test_a_stream_keeps_its_left_context_and_no_more(planes: int, before: int) -> None:
    stream, most = Compact(planes=planes).eval().stream(), 0
    for number in range(40):
        stream.push(sound(SECOND // 2 + 31 * number, number))
        most = max(most, stream.kept)
    # Samples, then the frames before the last of each kernel: of planes and stem, of the convolutions of each block.
    assert most <= (320 + 159) + before + 8 * (24 + 36 + 36 + 48 + 48 + 72)


@torch.inference_mode()
def test_streams_of_one_encoder_know_nothing_of_each_other() -> None:
    encoder, wave = Compact().eval(), sound(SECOND)
    first, second = encoder.stream(), encoder.stream()
    first.push(wave[:5000])
    expected = encoder(wave[None], torch.tensor([SECOND])).values
    torch.testing.assert_close(second.push(wave).values, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("planes", "least"), [(0, 1e-3), (3, 1e-4)])
@torch.inference_mode()
def test_no_frame_hears_later_sound(planes: int, least: float) -> None:
    encoder, lengths = with_planes(planes), torch.tensor([SECOND])
    wave, other = 0.1 * torch.randn(2, SECOND, generator=torch.Generator().manual_seed(0))
    before = encoder.run(wave[None], lengths, taps=encoder.blocks)
    strides = (1, 2, 4, 4)  # mel frames to a frame of each block
    for frame in (0, 3, 10):
        for name, stride in zip(encoder.blocks, strides, strict=True):
            changed = wave.clone()
            changed[(frame * stride + 1) * 160 :] = other[(frame * stride + 1) * 160 :]
            after = encoder.run(changed[None], lengths, taps=encoder.blocks).taps[name][0]
            torch.testing.assert_close(after[: frame + 1], before.taps[name][0, : frame + 1], rtol=0, atol=1e-5)
            assert not torch.allclose(after[frame + 1], before.taps[name][0, frame + 1], atol=least)


def test_what_is_not_causal_or_not_one_channel_is_refused() -> None:
    with pytest.raises(PlanError, match="conformer: its frames depend on later sound"):
        Stream(build("conformer"))
    with pytest.raises(AudioError, match=r"samples \(S,\) of one channel, not \(2, 100\)"):
        Compact().stream().push(torch.zeros(2, 100))


def test_it_is_as_small_as_it_says() -> None:
    encoder = load_encoder("random:compact")
    assert encoder.settings() == {
        "bands": 40,
        "kernel": 9,
        "channels": [24, 36, 48, 72],
        "strides": [2, 2, 1],
        "planes": 0,
    }
    assert sum(value.numel() for value in encoder.parameters()) == 143_892
    assert sum(4 * value.numel() for value in encoder.state_dict().values()) < 1_000_000
    periods = [encoder.cut(name).period for name in encoder.blocks]
    assert periods == pytest.approx([0.01, 0.02, 0.04, 0.04])
    assert [encoder.cut(name).width for name in encoder.blocks] == [24, 36, 48, 72]


@torch.inference_mode()
def test_planes_are_convolutions_over_time_and_bands_and_stay_small() -> None:
    encoder = load_encoder("random:compact,planes=16")
    assert isinstance(encoder, Compact)
    assert encoder.planes is not None
    assert sum(value.numel() for value in encoder.parameters()) < 200_000
    assert Compact.from_settings(encoder.settings()).state_dict().keys() == encoder.state_dict().keys()
    features = torch.randn(2, 7, 40, generator=torch.Generator().manual_seed(0))
    planes, _ = encoder.planes(features, ())
    assert planes.shape == (2, 7, encoder.planes.width)
    # A naive loop over places: what the last frame is of the last five.
    x = features[0, -5:, :, None]
    parts = encoder.planes
    for convolution, norm in ((parts.first, parts.first_norm), (parts.second, parts.second_norm)):
        weight, bias = convolution.state_dict().values()
        seen = x.new_zeros(len(x) - 2, x.shape[1] - 2, len(bias))
        for frame, band in product(*map(range, seen.shape[:2])):
            patch = x[frame : frame + 3, band : band + 3]
            seen[frame, band] = norm(torch.einsum("oitf,tfi->o", weight, patch) + bias).relu()
        pairs = range(0, seen.shape[1] - 1, 2)
        x = torch.stack([seen[:, band : band + 2].max(1).values for band in pairs], 1)
    torch.testing.assert_close(planes[0, -1], x[0].flatten(), rtol=0, atol=1e-5)


def test_normalisation_is_of_a_corpus_and_training_leaves_it_alone() -> None:
    encoder = Compact()
    assert encoder.cmvn.mean.unique().tolist() == [-5.0]
    assert encoder.cmvn.std.unique().tolist() == [4.5]
    wave, samples = noise(SECOND, 9000)
    features, frames = encoder.mel(wave, samples)
    statistics = CmvnStatistics(40)
    statistics.update(features, frames)
    encoder.cmvn = Cmvn.from_statistics(statistics)
    normed = encoder.cmvn(features, frames)[0, : int(frames[0])]
    assert abs(float(normed.mean())) < 0.1
    model, plan = Transfer(fresh=(r"encoder\..*",)).apply(encoder, Ctc(Vocabulary(("a", "b"))))
    set_live(model, plan, 0)
    model.encoder(wave, samples).values.sum().backward()
    torch.optim.Adam(model.parameters()).step()
    assert torch.equal(model.encoder.state_dict()["cmvn.mean"], encoder.cmvn.mean)
    assert torch.equal(model.encoder.state_dict()["cmvn.std"], encoder.cmvn.std)


def test_sizes_that_cannot_be_built_are_refused() -> None:
    wrong = {"bands": (0,), "channels": ((8, 8), (0, 8, 8, 8)), "kernel": (0, 1), "strides": ((2,), (2, 0, 1))}
    for name, value in ((name, value) for name, values in wrong.items() for value in values):
        with pytest.raises(SettingsError):
            Compact(**{name: value})  # type: ignore[arg-type]
    for values in ({"planes": -1}, {"planes": 2, "bands": 9}):
        with pytest.raises(SettingsError, match="zero or more, and over at least 10 bands"):
            Compact(**values)
