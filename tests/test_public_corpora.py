"""Recipes on public corpora: planned and run for three steps on local folders in exactly the corpora's layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from conftest import RATE
from datasets import Audio, ClassLabel, Dataset, Features, IterableDatasetDict, Value
from families import WAVEFORM
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from speechtransfer import catalogue, cli
from speechtransfer.audio import write_wav
from speechtransfer.recipe import Recipe

ROOT = Path(__file__).parents[1]
COMMON_VOICE = {"swh": "sw", "tat": "tt", "cym": "cy", "kir": "ky"}
FLEURS = {"yor": "yo_ng", "hau": "ha_ng"}
MSWC = {"spa": "es", "kin": "rw"}
SAID = ("habari", "karibu", "asante", "ndiyo", "hapana", "maji", "moto", "nyumba")

#: Rows of each official split.
SIZES = {"train": 8, "dev": 3, "test": 3}


def usually(first: str, *others: str) -> list[Any]:
    """One language by default, the others among the slow tests: they differ in names alone."""
    return [first, *(pytest.param(one, marks=pytest.mark.slow) for one in others)]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a user would keep corpora, sources and runs."""
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)  # drawn in test_cli
    monkeypatch.setenv("SPEECHTRANSFER_DATA", str(tmp_path / "corpora"))
    monkeypatch.setenv("SPEECHTRANSFER_SOURCES", str(tmp_path / "sources"))
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


def noise(path: Path, number: int) -> Path:
    """Half a second like no other; WAV under any name, since decoders tell by content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, np.random.default_rng(number).uniform(-0.3, 0.3, RATE // 2).astype(np.float32), RATE)
    return path


def checkpoint(folder: Path, language: str | None = None) -> None:
    """A tiny wav2vec 2.0 with random weights, as transformers saves it; MMS has adapters of a language beside it."""
    sizes = {name: value for name, value in WAVEFORM["mms" if language else "wav2vec2"].items() if name != "model_type"}
    vocabulary = {token: place for place, token in enumerate(("<pad>", "<s>", "</s>", "<unk>", "|", *"abhikmnorsty"))}
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=len(vocabulary), **sizes))
    model.save_pretrained(folder)
    nested = {language: vocabulary} if language else vocabulary
    (folder / "vocab.json").write_text(json.dumps(nested))
    if language:
        from safetensors.torch import save_file

        adapters = {
            name: value for name, value in model.state_dict().items() if "adapter_layer" in name or "lm_head" in name
        }
        save_file(
            {name: value.contiguous() for name, value in adapters.items()}, folder / f"adapter.{language}.safetensors"
        )


def called(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    return int(stopped.value.code or 0)


def planned_and_run(name: str, variant: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The figures of three steps; the plan is printed before."""
    recipe = str(ROOT / "recipes" / name)
    assert called("plan", recipe) == 0
    told = capsys.readouterr().out
    assert "forecast: " in told and f"test: {SIZES['test']} utterances" in told
    assert called("run", recipe, "--variant", variant, "--steps", "3", "--out", "out") == 0
    assert "not recorded" in capsys.readouterr().out
    figures: dict[str, Any] = json.loads(Path("out", variant, "metrics.json").read_text())
    assert figures["steps"] == 3
    return figures


def release(folder: Path, locale: str) -> None:
    """One language of Common Voice 17.0."""
    columns = (
        "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale"
    )
    number = 0
    for split, count in SIZES.items():
        lines = ["\t".join(columns.split())]
        for _ in range(count):
            name = f"common_voice_{locale}_{number}.mp3"
            noise(folder / "clips" / "x.wav", number).rename(folder / "clips" / name)
            said = f"{SAID[number % 8]} {SAID[(number + number // 8 + 1) % 8]}."
            values = {"client_id": f"{split}{number % 3}", "path": name, "sentence": said, "locale": locale}
            lines.append("\t".join(values.get(column, "") for column in columns.split()))
            number += 1
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("language", usually(*COMMON_VOICE))
def test_common_voice(language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release(tmp_path / "corpora" / "cv-corpus" / COMMON_VOICE[language], COMMON_VOICE[language])
    checkpoint(tmp_path / "sources" / "facebook" / "wav2vec2-xls-r-300m")
    figures = planned_and_run(f"xlsr_to_{language}_commonvoice_ctc", "default", capsys)
    assert figures["language"] == language
    assert "speaker-dependent" not in figures["test"].get("notes", [])


@pytest.fixture
def fleurs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams rows of FLEURS' columns, whatever is asked for."""
    kinds = {
        "id": Value("int32"),
        "num_samples": Value("int32"),
        "path": Value("string"),
        "transcription": Value("string"),
    }
    kinds |= {"raw_transcription": Value("string"), "gender": ClassLabel(names=["male", "female", "other"])}
    kinds |= {"lang_id": ClassLabel(names=["yo_ng", "ha_ng"]), "language": Value("string")}
    sound = {"bytes": Value("binary"), "path": Value("string")}

    def part(first: int, count: int) -> Dataset:
        numbers = range(first, first + count)
        waves = [noise(tmp_path / "one.wav", number).read_bytes() for number in numbers]
        said = [f"{SAID[number % 8]} {number} {SAID[(number * 3 + 1) % 8]}" for number in numbers]
        columns = {
            "id": [*numbers],
            "num_samples": [RATE // 2] * count,
            "path": ["x.wav"] * count,
            "transcription": said,
        }
        columns |= {
            "raw_transcription": said,
            "gender": [0] * count,
            "lang_id": [0] * count,
            "language": ["Yoruba"] * count,
        }
        heard = [{"bytes": wave, "path": "x.wav"} for wave in waves]
        return Dataset.from_dict({**columns, "audio": heard}, Features({**kinds, "audio": sound})).cast_column(
            "audio", Audio()
        )

    def load_dataset(name: str, config: str, streaming: bool) -> IterableDatasetDict:
        assert name == "google/fleurs" and config in FLEURS.values() and streaming
        parts = {"train": part(0, 8), "validation": part(8, 3), "test": part(11, 3)}
        return IterableDatasetDict({split: rows.to_iterable_dataset() for split, rows in parts.items()})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)


@pytest.mark.usefixtures("fleurs")
@pytest.mark.parametrize("variant", usually("adapted", "default"))
@pytest.mark.parametrize("language", usually(*FLEURS))
def test_fleurs(language: str, variant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint(tmp_path / "sources" / "facebook" / "mms-300m")
    checkpoint(tmp_path / "sources" / "facebook" / "mms-1b-all", language)
    figures = planned_and_run(f"mms_to_{language}_fleurs_ctc", variant, capsys)
    assert figures["language"] == language
    assert figures["test"]["cer"]["count"] > 0, "figures in the texts are letters here"


def spoken_words(folder: Path) -> None:
    """Speech Commands in small."""
    for number, word in enumerate(("yes", "no")):
        for speaker in range(12):
            noise(folder / word / f"{speaker:08x}_nohash_0.wav", 100 * number + speaker)
    noise(folder / "_background_noise_" / "tap.wav", 999)
    for name, speakers in (("validation_list.txt", (8, 9)), ("testing_list.txt", (10, 11))):
        lines = [f"{word}/{speaker:08x}_nohash_0.wav\n" for word in ("yes", "no") for speaker in speakers]
        (folder / name).write_text("".join(lines))


def word_corpus(folder: Path, language: str, words: tuple[str, ...]) -> None:
    """One language of the Multilingual Spoken Words Corpus, with a word that no recipe asks for."""
    lines, number = ["SET,LINK,WORD,VALID,SPEAKER,GENDER"], 1000
    for word in (*words, "others"):
        for split, count in (("TRAIN", 6), ("DEV", 1), ("TEST", 1)):
            for _ in range(count):
                name = f"{word}/common_voice_{language}_{number}.opus"
                noise(folder / "clips" / "x.wav", number).rename(noise(folder / "clips" / name, number))
                lines.append(f"{split},{name},{word},True,{split}{number % 4},NAN")
                number += 1
    (folder / f"{language}_splits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def trained(name: str, variant: str, out: str) -> dict[str, Any]:
    assert called("run", str(ROOT / "recipes" / name), "--variant", variant, "--steps", "3", "--out", out) == 0
    figures: dict[str, Any] = json.loads(Path(out, variant, "metrics.json").read_text())
    return figures


@pytest.mark.parametrize("language", usually(*MSWC))
def test_words(language: str, tmp_path: Path) -> None:
    spoken_words(tmp_path / "corpora" / "speech_commands")
    figures = trained("source_speechcommands", "default", "runs/source_speechcommands")
    assert figures["test"]["accuracy"]["count"] == 4
    name = f"speechcommands_to_mswc_{language}_keywords"
    recipe: Recipe = catalogue.find(str(ROOT / "recipes" / name))[1]["default"]
    word_corpus(tmp_path / "corpora" / "mswc" / MSWC[language], MSWC[language], recipe.keywords.words)
    figures = trained(name, "5clips", "out")
    assert figures["test"]["accuracy"]["count"] == 10 and figures["language"] == language
    assert figures["open"]["accuracy"]["count"] == 11, "the eleventh word is met in the test alone"
    assert figures["source"]["id"] == "runs/source_speechcommands/default"


def test_every_recipe_on_a_public_corpus_says_that_it_has_not_run() -> None:
    names = [f"xlsr_to_{one}_commonvoice_ctc" for one in COMMON_VOICE] + [f"mms_to_{one}_fleurs_ctc" for one in FLEURS]
    names += [f"speechcommands_to_mswc_{one}_keywords" for one in MSWC] + ["source_speechcommands"]
    for folder in (ROOT / "recipes" / name for name in names):
        if not (folder / "results.jsonl").read_text():
            assert "Not yet run on the full data" in " ".join((folder / "README.md").read_text().split())
            assert "not yet run on the full data" in (folder / "recipe.py").read_text()
