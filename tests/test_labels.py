"""Tests of labels: the rows of a checkpoint's old output layer, and the adapters of one language of many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from families import WAVEFORM, settled
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCTC

from speechtransfer.encoders.labels import read_labels, target_language
from speechtransfer.errors import SourceError
from speechtransfer.objectives import Ctc
from speechtransfer.sources import load_encoder
from speechtransfer.transfer import Transfer
from speechtransfer.vocabulary import Vocabulary

VOCAB = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "b": 6, "a": 5}


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_labels_stand_in_the_order_of_their_rows(tmp_path: Path) -> None:
    assert read_labels(tmp_path, 7) is None
    write(tmp_path, vocab=VOCAB)
    assert read_labels(tmp_path, 7) == ("<pad>", "<s>", "</s>", "<unk>", "|", "a", "b")
    assert read_labels(tmp_path, 9) == ("<pad>", "<s>", "</s>", "<unk>", "|", "a", "b", "<unk>", "<unk>")
    with pytest.raises(SourceError, match="'b' at 6, its output layer 6 rows"):
        read_labels(tmp_path, 6)
    added = {"7": {"content": "<extra>"}, "5": {"content": "no"}, "99": {"content": "beyond"}}
    write(tmp_path, tokenizer_config={"added_tokens_decoder": added})
    assert read_labels(tmp_path, 8) == ("<pad>", "<s>", "</s>", "<unk>", "|", "a", "b", "<extra>")


def test_roles_are_what_the_tokenizer_says(tmp_path: Path) -> None:
    roles = {"pad_token": {"content": "_"}, "word_delimiter_token": "#"}
    write(tmp_path, vocab={"_": 0, "#": 1, "a": 2}, tokenizer_config=roles)
    assert read_labels(tmp_path, 3) == ("<pad>", "|", "a")


@pytest.mark.parametrize("vocabulary", [{"<unk>": 0, "▁a": 1, "b": 2}, [["<unk>", 0.0], ["▁a", -1.0], ["b", -2.0]]])
def test_pieces_of_words_come_from_the_tokenizer(vocabulary: Any, tmp_path: Path) -> None:
    write(tmp_path, tokenizer={"model": {"vocab": vocabulary}, "added_tokens": [{"id": 3, "content": "<pad>"}]})
    assert read_labels(tmp_path, 4) == ("<unk>", "▁a", "b", "<pad>")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vocab", b"{", "cannot be read as JSON"),
        ("vocab", b"[]", "is not a JSON object"),
        ("vocab", b'{"a": "x"}', "'a' at 'x'"),
        ("vocab", b'{"a": -1}', "'a' at -1"),
        ("tokenizer", b'{"model": []}', "do not describe a vocabulary"),
        ("tokenizer", b'{"added_tokens": [{"content": "a"}]}', "do not describe a vocabulary"),
        ("tokenizer_config", b'{"added_tokens_decoder": {"x": "a"}}', "do not describe a vocabulary"),
    ],
)
def test_damaged_files_are_named(file: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / f"{file}.json").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_labels(tmp_path, 4)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with adapters for two languages, as MMS has them: its own weights hold the first's."""
    torch.manual_seed(0)
    values = {**WAVEFORM["mms"], "vocab_size": 7}
    folder = tmp_path_factory.mktemp("many")
    model: Any = settled(AutoModelForCTC.from_config(AutoConfig.for_model(values.pop("model_type"), **values)))
    model.save_pretrained(folder)
    for language, shift in (("eng", 0.0), ("swh", 0.1)):
        model.lm_head = model.lm_head if language == "eng" else torch.nn.Linear(16, 8)
        adapter = {key: value + shift for key, value in model._get_adapters().items()}
        save_file(adapter, folder / f"adapter.{language}.safetensors")
    vocab = {"eng": VOCAB, "swh": {**VOCAB, "ŋ": 7}, "swe": VOCAB}
    return write(folder, vocab=vocab, tokenizer_config={"target_lang": "eng"})


@torch.inference_mode()
def test_a_language_brings_its_adapters_and_its_head(many: Path) -> None:
    own, same, other = load_encoder(many), load_encoder(many, "eng"), load_encoder(many, language="swh")
    assert [encoder.card.languages for encoder in (own, same, other)] == [("eng",), ("eng",), ("swh",)]
    assert target_language(many) == "eng"
    states = [encoder.state_dict() for encoder in (own, same, other)]
    adapted = {key for key in states[0] if "adapter_layer" in key}
    assert len(adapted) == 3 * 6
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key])
        assert torch.equal(value, states[2][key]) != (key in adapted)
    adapter, name = load_file(many / "adapter.swh.safetensors"), "layers.1.adapter_layer.norm.weight"
    assert torch.equal(states[2][name], adapter[f"wav2vec2.encoder.{name}"])
    assert own.donor is not None and other.donor is not None
    assert (own.donor.labels or ())[-1] == "b"
    assert (other.donor.labels or ())[-1] == "ŋ"
    assert torch.equal(other.donor.weight, adapter["lm_head.weight"])
    model, plan = Transfer().apply(other, Ctc(Vocabulary(tuple(" aqŋ"))))
    assert plan.shared_labels == ("", " ", "a", "ŋ")
    assert torch.equal(model.objective.heads["output"].weight[4], adapter["lm_head.weight"][7])


def test_a_language_that_is_not_there_is_refused_with_the_nearest(many: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no adapter for 'swa'; of its 3 languages the nearest are: swh, swe"):
        load_encoder(many, "swa")
    with pytest.raises(SourceError, match=r"adapter\.swe\.safetensors: there is no such weights file"):
        load_encoder(many, "swe")
    with pytest.raises(SourceError, match="has no adapters by language"):
        load_encoder(many, "../swh")
    for path in many.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "adapter.swh.safetensors"
    tensors = load_file(path)
    first = next(key for key in tensors if "adapter_layer" in key)
    save_file({key: value for key, value in tensors.items() if key != first}, path)
    with pytest.raises(SourceError, match=rf"missing: {first.removeprefix('wav2vec2.')}"):
        load_encoder(tmp_path, "swh")
    save_file({**tensors, "wav2vec2.encoder.layer_norm.bias": torch.zeros(16)}, path)
    with pytest.raises(SourceError, match=r"holds more than adapters .*: wav2vec2\.encoder\.layer_norm\.bias"):
        load_encoder(tmp_path, "swh")


def test_only_checkpoints_of_many_languages_take_one(many: Path, tmp_path: Path) -> None:
    for path in many.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write(tmp_path, vocab=VOCAB)
    state = tmp_path / "state.pth"
    torch.save({}, state)
    for name in (str(tmp_path), str(state), "random:dnn", "many"):
        with pytest.raises(SourceError, match=r"has no adapters by language. Leave out language='swh'"):
            load_encoder(name, "swh")


@pytest.mark.parametrize("language", [None, "swh", "swa"])
def test_the_hub_is_asked_for_one_adapter(
    many: Path, language: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, asked = tmp_path / "cache", []
    (many / "pytorch_model.bin").touch()

    def fetched(name: str, allow_patterns: list[str]) -> str:
        cache.mkdir(exist_ok=True)
        asked.append(set(allow_patterns))
        for path in many.iterdir():
            if path.name in allow_patterns:
                (cache / path.name).write_bytes(path.read_bytes())
        return str(cache)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    if language == "swa":
        with pytest.raises(SourceError, match="nearest are: swh"):
            load_encoder("org/many", language)
        assert not any("model.safetensors" in patterns for patterns in asked)  # refused before the weights
        return
    encoder = load_encoder("org/many", language)
    assert encoder.card.languages == (language or "eng",)
    held = {path.name for path in cache.iterdir()}
    assert held == {"config.json", "vocab.json", "tokenizer_config.json", "model.safetensors"} | (
        {"adapter.swh.safetensors"} if language else set()
    )
