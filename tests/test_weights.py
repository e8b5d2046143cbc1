"""Tests of reading tensors: nothing runs, nothing damaged passes, and every key is accounted for."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import random
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from speechtransfer.errors import SourceError
from speechtransfer.weights import find_weights, match_strictly, read_tensors, sha256, write_tensors

torch.set_num_threads(1)
STATE = {
    "a.weight": torch.arange(12.0).reshape(3, 4),
    "a.bias": torch.tensor([0.5, -1.0, 3e-7]),
    "half": torch.tensor([1.5, 65504.0], dtype=torch.float16),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 4),
    "größe": torch.tensor([True, False]),
}


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, msg=name)


def test_safetensors_round_trip_and_second_reader(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.safetensors"
    write_tensors(path, STATE)
    same(read_tensors(path), STATE)
    same(safetensors.torch.load_file(path), STATE)
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no temporary file is left"
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_state_dicts_are_read(tmp_path: Path, suffix: str, zipped: bool) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save(OrderedDict(STATE), path, _use_new_zipfile_serialization=zipped)
    same(read_tensors(path), STATE)


def test_only_floats_are_narrowed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, STATE, torch.float16)
    dtypes = {name: value.dtype for name, value in read_tensors(path).items()}
    assert dtypes["a.weight"] == dtypes["half"] == torch.float16
    assert dtypes["count"] == torch.int64
    assert dtypes["größe"] == torch.bool
    assert STATE["a.weight"].dtype == torch.float32


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    base = torch.arange(10.0)
    tied = nn.Linear(2, 2)
    shared = {
        "whole": base,
        "again": base,
        "first": base[:6],
        "last": base[4:],
        "turned": base.view(2, 5).T,
        "spread": base[:1].expand(4),
        "tied": tied.weight,
        "tied_too": tied.weight,
    }
    path = tmp_path / "model.safetensors"
    write_tensors(path, shared)
    same(read_tensors(path), {name: value.detach().clone() for name, value in shared.items()})
    assert shared["whole"].data_ptr() == shared["again"].data_ptr(), "the model's own tie is untouched"


class Bomb:
    """Unpickled by a careless reader, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.mark, "run")


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "pytorch_model.bin", "model.ckpt"])
@pytest.mark.parametrize("how", ["torch", "pickle", "nested"])
def test_a_malicious_pickle_is_refused_and_never_run(tmp_path: Path, name: str, how: str) -> None:
    path, mark = tmp_path / name, tmp_path / "it-ran"
    if how == "pickle":
        path.write_bytes(pickle.dumps({"weight": Bomb(mark)}))
    else:
        torch.save({"weight": torch.ones(2), "more": Bomb(mark) if how == "torch" else [{"x": Bomb(mark)}]}, path)
    with pytest.raises(SourceError, match=name):
        read_tensors(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists(), "the bomb is live, so the test above means something"


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth", "legacy.pth"])
def test_a_truncated_or_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "x.safetensors":
        write_tensors(path, STATE)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=name == "x.pth")
    whole = path.read_bytes()
    rng = random.Random(0)
    for size in {0, 1, 7, 8, 9, len(whole) // 2, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(40))}:
        path.write_bytes(whole[:size])
        with pytest.raises(SourceError, match=name):
            read_tensors(path)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(rng.choice((1, 4, 30))):
            broken[rng.randrange(min(len(whole), 1500))] = rng.randrange(256)
        path.write_bytes(broken)
        with contextlib.suppress(SourceError):  # the damage may lie in the values alone
            read_tensors(path)


@pytest.mark.parametrize(
    "content", [[torch.ones(2)], torch.ones(2), {"a": [1.0]}, {"model": {"a": torch.ones(1)}}, {0: torch.ones(1)}, None]
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "model.pth"
    torch.save(content, path)
    with pytest.raises(SourceError, match="state dict"):
        read_tensors(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for absent in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(SourceError, match=absent.name):
            read_tensors(absent)
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SourceError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
            find_weights(folder)
    (tmp_path / "pytorch_model.bin").touch()
    assert find_weights(tmp_path).name == "pytorch_model.bin"
    (tmp_path / "model.safetensors").touch()
    assert find_weights(tmp_path).name == "model.safetensors"


EXPECTED = {"conv.weight": torch.zeros(2, 3), "conv.bias": torch.zeros(2), "norm.scale": torch.zeros(2)}
PREFIXES = ("model.", "model.encoder.", "")
DISCARDS = (r"(model\.)?decoder\..*", r"proj_out\.weight")


def match(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    return match_strictly(tensors, EXPECTED, PREFIXES, DISCARDS, "here/model.pth")


def checkpoint(prefix: str = "model.encoder.") -> dict[str, Tensor]:
    return {f"{prefix}{name}": torch.rand_like(value) for name, value in EXPECTED.items()}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_go_and_discards_are_told(prefix: str) -> None:
    given = checkpoint(prefix)
    matched, discarded = match({**given, "model.decoder.x": torch.ones(1), "proj_out.weight": torch.ones(1)})
    assert set(discarded) == {"model.decoder.x", "proj_out.weight"}
    same(matched, {name: given[prefix + name] for name in EXPECTED})


def test_the_architecture_decides_the_dtype() -> None:
    given = {name: value.half() for name, value in checkpoint().items()}
    matched, _ = match(given)
    same(matched, {name: given[f"model.encoder.{name}"].float() for name in EXPECTED})


def test_every_fault_is_named_at_once() -> None:
    given = checkpoint()
    del given["model.encoder.conv.bias"], given["model.encoder.norm.scale"]
    given |= {"model.encoder.conv.weight": torch.zeros(3, 2)}
    given |= {"model.encoder.extra": torch.ones(1), "xdecoder.a": torch.ones(1), "proj_out.weights": torch.ones(1)}
    with pytest.raises(SourceError) as caught:
        match(given)
    message = str(caught.value)
    assert message.startswith("here/model.pth")
    for part in (
        "missing: conv.bias, norm.scale",
        "unexpected: model.encoder.extra, xdecoder.a, proj_out.weights",
        "conv.weight is (3, 2), expected (2, 3)",
    ):
        assert part in message


@pytest.mark.parametrize("gone", sorted(EXPECTED))
def test_one_missing_key_is_enough(gone: str) -> None:
    given = checkpoint("")
    del given[gone]
    with pytest.raises(SourceError, match=f"missing: {gone}"):
        match(given)


def test_nothing_fills_nothing() -> None:
    with pytest.raises(SourceError, match=r"missing: conv\.bias, conv\.weight, norm\.scale"):
        match({})
    with pytest.raises(SourceError, match="missing"):
        match(checkpoint("other."))


def test_two_keys_for_one_name_are_refused() -> None:
    with pytest.raises(SourceError, match=r"conv\.bias"):
        match({**checkpoint("model.encoder."), "conv.bias": torch.ones(2)})


def test_a_prefix_is_removed_once() -> None:
    expected = {"encoder.x": torch.zeros(1), "x": torch.zeros(1)}
    given = {"encoder.encoder.x": torch.tensor([1.0]), "encoder.x": torch.tensor([2.0])}
    matched, _ = match_strictly(given, expected, ("encoder.",), (), "here")
    assert matched == {"encoder.x": torch.tensor([1.0]), "x": torch.tensor([2.0])}
