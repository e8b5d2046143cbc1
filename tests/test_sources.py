"""Sources: found in their order, loaded strictly, every key accounted for, and no refusal without a way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from speechtransfer import sources
from speechtransfer.checkpoint import save
from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import PlanError, SourceError
from speechtransfer.objectives import Ctc
from speechtransfer.sources import find_source, load_encoder
from speechtransfer.transfer import Transfer
from speechtransfer.vocabulary import Vocabulary
from speechtransfer.weights import sha256


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the hub; with this the hub's own client refuses to."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("SPEECHTRANSFER_SOURCES", raising=False)


@pytest.fixture(scope="session")
def saved_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that transformers itself wrote, encoder and decoder."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_mel_bins=20,
        max_source_positions=100,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    folder = tmp_path_factory.mktemp("hub") / "tiny"
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Tiny\nlicense: none\n")
    return folder


@pytest.fixture
def whisper(saved_whisper: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for path in saved_whisper.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_transformers_checkpoints_load_strictly_without_their_decoder(whisper: Path) -> None:
    tensors = load_file(whisper / "model.safetensors")
    encoder = load_encoder(whisper)
    own = dict(encoder.state_dict())
    assert any("decoder" in name for name in tensors)
    assert not any("decoder" in name for name in own)
    for name, value in tensors.items():
        if name.startswith("model.encoder."):
            assert torch.equal(own.pop(name.removeprefix("model.encoder.")), value), name
    assert not own
    assert encoder.family == "whisper"
    assert encoder.width == 16
    assert encoder.blocks == ("frontend", "layer0", "layer1", "norm")
    assert encoder.donor is None
    card = encoder.card
    assert (card.id, card.licence, card.sha256) == (str(whisper), "apache-2.0", sha256(whisper / "model.safetensors"))


def test_an_encoder_alone_and_an_old_weights_file_load_as_well(whisper: Path) -> None:
    expected = load_encoder(whisper).state_dict()
    tensors = load_file(whisper / "model.safetensors")
    (whisper / "model.safetensors").unlink()
    for prefix in ("model.encoder.", "encoder.", ""):
        alone = {
            prefix + name.removeprefix("model.encoder."): value for name, value in tensors.items() if "encoder." in name
        }
        torch.save(alone, whisper / "pytorch_model.bin")
        found = load_encoder(whisper).state_dict()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda tensors: tensors.pop("model.encoder.layers.1.fc1.bias"), r"missing: layers\.1\.fc1\.bias"),
        (
            lambda tensors: tensors.update({"model.encoder.layers.2.fc1.bias": torch.zeros(32)}),
            r"unexpected: model\.encoder\.layers\.2\.fc1\.bias",
        ),
        (lambda tensors: tensors.update({"classifier.weight": torch.zeros(2)}), r"unexpected: classifier\.weight"),
        (
            lambda tensors: tensors.update({"model.encoder.conv1.bias": torch.zeros(17)}),
            r"of another shape: conv1\.bias is \(17,\), expected \(16,\)",
        ),
        (
            lambda tensors: tensors.update({"encoder.conv1.bias": torch.zeros(16)}),
            r"unexpected: .*encoder\.conv1\.bias \(a second conv1\.bias\)",
        ),
    ],
)
def test_every_key_is_accounted_for(whisper: Path, change: Callable[[dict[str, Any]], Any], named: str) -> None:
    path = whisper / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(SourceError, match=named) as caught:
        load_encoder(whisper)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"config\.json: cannot be read as JSON"),
        (b"[]", "model_type None is not among the known: whisper"),
        (b"{}", "model_type None is not among the known: whisper"),
        (b'{"model_type": "bert"}', "model_type 'bert' is not among the known: whisper"),
        (b'{"model_type": "whisper", "d_model": "wide"}', r"config\.json: does not describe a Whisper model"),
        (b'{"model_type": "whisper", "d_model": 15, "encoder_attention_heads": 2}', r"config\.json: does not describe"),
        (b'{"model_type": "whisper", "encoder_layers": -1}', "the checkpoint does not fit this encoder"),
    ],
)
def test_a_config_that_is_none_is_named(whisper: Path, content: bytes, message: str) -> None:
    (whisper / "config.json").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        load_encoder(whisper)


def test_weights_that_are_damaged_or_gone_are_named(whisper: Path) -> None:
    path = whisper / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SourceError, match=r"model\.safetensors: is damaged"):
        load_encoder(whisper)
    path.unlink()
    with pytest.raises(SourceError, match="holds neither"):
        load_encoder(whisper)


def test_random_encoders_are_of_their_family(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder("random:conformer")
    assert isinstance(encoder, Conformer)
    assert encoder.donor is None
    assert encoder.card.sha256 is None
    assert "random" in encoder.card.id
    with pytest.raises(SourceError, match="'transformer' is no encoder family; the families are conformer, whisper"):
        load_encoder("random:transformer")


def test_a_random_encoder_may_have_other_sizes() -> None:
    encoder = load_encoder("random:conformer,layers=2,width=24,dropout=0.2")
    assert isinstance(encoder, Conformer)
    assert (encoder.width, encoder.blocks) == (24, ("frontend", "layer0", "layer1"))
    assert encoder.sizes == replace(ConformerSettings(), layers=2, width=24, dropout=0.2)
    assert "random:conformer,layers=2" in encoder.card.id
    # The same as its own settings give back, so that a run folder of it loads.
    assert Conformer.from_settings(encoder.settings()).sizes == encoder.sizes
    assert load_encoder("random:compact,kernel=5").settings()["kernel"] == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("random:conformer,depth=2", "'depth' is no size of conformer. There are width, layers, heads"),
        ("random:conformer,layers", "'' is no value of layers, as 5 is"),
        ("random:conformer,layers=two", "'two' is no value of layers"),
        ("random:conformer,width=25", "cannot be built .*width 25"),
        ("random:conformer,mel=1", "'mel' is no size"),
        ("random:conformer,layers=2,layers=3", "layers is given twice"),
        ("random:whisper,activation_function=foo", "cannot be built"),
        ("random:whisper,encoder_layers=0.5", "'0.5' is no value of encoder_layers"),
        ("random:former,layers=2", "'former' is no encoder family"),
    ],
)
def test_sizes_that_are_none_are_refused(name: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        load_encoder(name)


@pytest.fixture
def run(tiny: Callable[..., Encoder], tmp_path: Path) -> Path:
    """A run folder of ours that knows four letters and the space."""
    model, _ = Transfer().apply(tiny(), Ctc(Vocabulary(tuple(" абвг"))))
    save(model, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_folder_is_a_source_with_its_head_as_donor(run: Path) -> None:
    encoder = load_encoder(run)
    donor = encoder.donor
    tensors = load_file(run / "model.safetensors")
    assert donor is not None
    assert donor.labels == ("", " ", "а", "б", "в", "г")
    assert torch.equal(donor.weight, tensors["objective.output.weight"])
    assert encoder.card.id == str(run)
    assert encoder.card.sha256 == sha256(run / "model.safetensors")
    assert not any(name.startswith("donor") for name, _ in encoder.named_parameters())
    # The next vocabulary takes the rows of the letters that both have, wherever they stand.
    model, plan = Transfer().apply(encoder, Ctc(Vocabulary(tuple("авё"))))
    assert plan.shared_labels == ("", "а", "в")
    weight = model.objective.output.weight
    for new, old in ((0, 0), (1, 2), (2, 4)):
        assert torch.equal(weight[new], donor.weight[old])
    assert encoder.cut("layer0").donor is None
    with pytest.raises(PlanError):
        Transfer(graft={"а": "я"}).apply(encoder, Ctc(Vocabulary(("а",))))


def test_sources_are_looked_for_in_their_order(
    run: Path, whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for root, name in ((one, "mine"), (two, "mine"), (two, "org/deep"), (two, "small-encoder")):
        (root / name).mkdir(parents=True)
        (root / name / "config.json").write_text("{}")
    (one / "small-encoder").mkdir()  # empty, so no source
    monkeypatch.setenv("SPEECHTRANSFER_SOURCES", f"{one}:{two}")
    monkeypatch.chdir(tmp_path)
    assert find_source("mine") == one / "mine"
    assert find_source("org/deep") == two / "org/deep"
    assert find_source("openai/small") == two / "small-encoder"
    assert find_source("run") == Path("run")
    assert find_source(str(whisper)) == whisper
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "encoder.json").write_text("{}")
    assert find_source("mine") == Path("mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_source("~/run") == run


def test_packaged_sources_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "packaged_sources", lambda: tmp_path / "packaged")
    (tmp_path / "packaged" / "ours").mkdir(parents=True)
    (tmp_path / "packaged" / "ours" / "encoder.json").write_text("{}")
    assert find_source("ours") == tmp_path / "packaged" / "ours"


def test_what_is_found_nowhere_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPEECHTRANSFER_SOURCES", str(tmp_path / "sources"))
    with pytest.raises(SourceError) as caught:
        load_encoder("nobody/nothing")
    message = str(caught.value)
    assert "'nobody/nothing' was found neither in" in message
    assert "nor on the hub" in message
    assert str(tmp_path / "sources" / "nobody/nothing") in message
    assert "SPEECHTRANSFER_SOURCES" in message
    with pytest.raises(SourceError, match="nor on the hub"):
        load_encoder("no: such//name")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~nobody-of-that-name/x"])
def test_a_path_that_is_not_there_is_no_hub_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="there is no such folder"):
        load_encoder(name)


def test_a_folder_without_a_model_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError, match=r"holds neither config\.json nor encoder\.json"):
        load_encoder(tmp_path / "folder")


@pytest.mark.parametrize("held", ["model.safetensors", "pytorch_model.bin"])
def test_the_hub_is_asked_for_one_weights_file(
    whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    cache = tmp_path / "cache"
    if held == "pytorch_model.bin":
        torch.save(load_file(whisper / "model.safetensors"), whisper / held)
        (whisper / "model.safetensors").unlink()

    def fetched(name: str, allow_patterns: list[str]) -> str:
        assert name == "org/tiny"
        assert not any("*" in pattern for pattern in allow_patterns)
        cache.mkdir(exist_ok=True)
        for path in whisper.iterdir():
            if path.name in allow_patterns:
                (cache / path.name).write_bytes(path.read_bytes())
        return str(cache)

    monkeypatch.chdir(tmp_path / "tiny")
    (whisper / "pytorch_model.bin").touch()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    assert load_encoder("org/tiny").card.id == "org/tiny"
    assert [name for name in ("model.safetensors", "pytorch_model.bin") if (cache / name).is_file()] == [held]


def test_the_default_source_is_packaged() -> None:
    folder = find_source(sources.DEFAULT_SOURCE)
    card = json.loads((folder / "encoder.json").read_text())["card"]
    assert folder.parent == sources.packaged_sources()
    assert card["licence"]
    assert card["languages"]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 8 << 20
    donor = load_encoder().donor
    assert donor is not None
    assert donor.labels is not None
    assert len(donor.labels) == len(donor.weight)
