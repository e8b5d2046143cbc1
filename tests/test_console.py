"""What is told of names that would be markup: each verb prints them as they are, and does its work."""

import json
import shutil
from pathlib import Path

import pytest
from clips import say_words

from speechtransfer.checkpoint import save
from speechtransfer.cli import main
from speechtransfer.console import plain_console, watched
from speechtransfer.objectives import Ctc
from speechtransfer.score import Estimate
from speechtransfer.transfer import Transfer
from speechtransfer.vocabulary import Vocabulary

SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"
#: Rich would refuse the first, lose the second and draw the third.
HOSTILE = "of [/bold] [red]:cat:"


@pytest.fixture
def place(tmp_path, tiny, monkeypatch):
    """A folder of a hostile name with a corpus, keywords and a source."""
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    place = tmp_path / HOSTILE
    shutil.copytree(SYNTHETIC, place / "corpus")
    (place / "words").mkdir()
    say_words(place / "words")
    model, _ = Transfer().apply(tiny(), Ctc(Vocabulary.from_texts(["a bade"])))
    save(model, place / "source")
    return place


def told(capsys, *arguments, status=0):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert (stopped.value.code or 0) == status, said.err
    return said.out


def test_every_verb_prints_hostile_names_as_they_are(place, capsys):
    corpus, source, run, words = (place / name for name in ("corpus", "source", "run", "words"))
    once = ["--source", source, "--steps", "1", "--set", "folds=2"]
    nearest = ["--set", "keywords.loss=prototypes", "--set", "settings.batches.episode=2,4"]
    clip = corpus / "clips" / "03.ogg"
    said = {
        "adapt": told(capsys, "adapt", corpus, *once, "--out", run),
        "again": told(capsys, "adapt", corpus, *once, "--seed", "2", "--out", place / "other"),
        "check": told(capsys, "check", corpus, "--report", place / "check.html"),
        "plan": told(capsys, "plan", corpus, "--source", source, "--set", "folds=2"),
        "score": told(capsys, "score", run, corpus, "--out", place / "scores.jsonl"),
        "compare": told(capsys, "compare", run, "--against", place / "other"),
        "report": told(capsys, "report", run),
        "transcribe": told(capsys, "transcribe", run, clip),
        "embed": told(capsys, "embed", source, corpus, "--out", place / "features"),
        "mine": told(capsys, "mine", corpus, "--least-count", "1"),
        "words": told(capsys, "adapt", words, *once, "--task", "keywords", *nearest, "--out", place / "spotter"),
        "enrol": told(capsys, "enrol", place / "spotter", "[/b]", *(words / "high").glob("anna*.wav")),
    }
    assert (place / "scores.jsonl").is_file()
    assert {verb for verb, text in said.items() if HOSTILE not in text} == {"plan"}
    assert "4 words, [/b] from 2 clips" in said["enrol"]


def test_what_is_no_result_goes_to_the_other_stream(capsys):
    plain_console(stderr=True).print("[a] :cat: 1")
    assert capsys.readouterr() == ("", "[a] :cat: 1\n")


def test_a_source_of_a_long_name_is_told_whole(tmp_path, tiny, monkeypatch, capsys):
    name = "wav2vec2-large-xlsr-53-of-a-language-with-a-very-long-name-indeed-and-then-some-more"
    model, _ = Transfer().apply(tiny(), Ctc(Vocabulary.from_texts(["ab"])))
    save(model, tmp_path / name)
    monkeypatch.setenv("SPEECHTRANSFER_SOURCES", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    columns = [line.split("│")[1].strip() for line in told(capsys, "sources").splitlines() if line.startswith("│")]
    assert name in "".join(columns)


def test_a_bar_is_for_terminals_and_gives_every_item(capsys, monkeypatch):
    assert [*watched(iter("abc"), "[/b]", 3)] == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert [*watched("abc", "[/b] :cat:")] == ["a", "b", "c"]
    said = capsys.readouterr()
    assert said.out == "" and "[/b] :cat:" in said.err


def test_every_figure_of_every_system_is_told_whole_on_a_narrow_terminal(place, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    spotter = ["adapt", place / "words", "--source", place / "source", "--task", "keywords", "--steps", "1"]
    more = ["--baseline", "scratch", "--set", "folds=2", "scratch.rates=1e-3"]
    said = told(capsys, *spotter, *more, "--negatives", place / "corpus", "--out", place / "run")
    table = []
    for line in (line for line in said.splitlines() if line.startswith("│")):
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        table = [*table, cells] if cells[0] else [*table[:-1], [*map(" ".join, zip(table[-1], cells, strict=True))]]
    table = [[cell.strip() for cell in row] for row in table]
    first = [figure for _, _, figure, *_ in table[:5]]
    assert first == ["accuracy", "macro F1", "EER", "false rejects", "false accepts"]
    metrics = json.loads((place / "run" / "metrics.json").read_text())
    both = metrics, metrics["baselines"]["scratch"]
    accuracies, alarms = (
        [str(Estimate.read(figure, one[test][figure])) for one in both]
        for test, figure in (("test", "accuracy"), ("negatives", "false_accepts_per_hour"))
    )
    assert ["run", "test", "accuracy", *accuracies] in table
    assert ["run", "negatives", "false accepts per hour", *alarms] in table
