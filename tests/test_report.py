"""The report and the card: every figure, everything escaped, nothing loaded, nothing half written."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from speechtransfer.audio import write_wav
from speechtransfer.errors import DataError, SourceError
from speechtransfer.pictures import alignment, confusions, plain, shown, spectrogram
from speechtransfer.report import write_card, write_report
from speechtransfer.score import character_errors, substitutions

EVIL = '<script>alert("x")</script> & \'quoted\' "co" https://example.org/x.js'
PAIRS = [
    ("съешь ещё этих булок", "сьеш ещё этик булок"),
    (EVIL, EVIL[8:] + " <img src=x>"),
    ("مرحبا بالعالم", "مرحبا العالمي"),
    ("नमस्ते दुनिया", "नमसते दुनीया"),
    ("один два три", "один два три"),
    ("первое второе третье", "совсем иные слова"),
]


def estimate(value, count=5213):
    return {"value": value, "low": value - 0.021, "high": value + 0.023, "count": count}


def figures(cer, wer):
    return {"cer": estimate(cer), "wer": estimate(wer, 812)}


METRICS = {
    "test": figures(0.123, 0.345) | {"notes": ["speaker-dependent"]},
    "other": figures(0.311, 0.702) | {"notes": ["contaminated: the source was trained on 2 of these"]},
    "baselines": {"scratch": {"test": figures(0.414, 0.823)}, "frozen<b>": {"other": figures(0.505, 0.906)}},
    "verdict": {"text": "Transfer helps: <i>much</i>.", "metric": "cer", "difference": estimate(0.291)},
    "seconds": 1234.5,
    "audio_seconds": 5400,
    "device": "a device",
    "source": {"id": "many<1>", "licence": "CC0-1.0", "languages": ["spa", "fra"], "sha256": "ab" * 32},
    "task": "ctc",
    "language": "rus",
    "peak_memory_mb": 812,
    "padding_waste": 0.043,
    "unseen_floor": estimate(0.022),
    "language_model": {"order": 6, "errors": 31, "errors_without": 40, "characters": 573},
    "manifest": {"train": "cd" * 32},
}
PLAN = {
    "rules": [
        {"pattern": r"encoder\..*", "scale": 0.1, "after": 200},
        {"pattern": ".*", "scale": 1.0, "after": 0},
    ],
    "shared_labels": ["<blank>", " ", "а"],
    "notes": ["cut after layers.2"],
    "parameters": [
        {
            "name": f"encoder.layers.0.{name}",
            "shape": shape,
            "origin": "kept",
            "rule": 0,
            "scale": 0.1,
            "after": 200,
        }
        for name, shape in (("weight", [8, 16]), ("bias", [8]))
    ]
    + [{"name": "objective.w", "shape": [3, 8], "origin": "grafted", "rule": 1, "scale": 1.0, "after": 0}]
    + [{"name": "encoder.sines", "shape": [5], "origin": "constant", "rule": None, "scale": 0.0, "after": 0}],
}


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = isinstance(values, list)
    rows = [json.dumps(one, ensure_ascii=False) + "\n" for one in (values if lines else [values])]
    path.write_text("".join(rows), encoding="utf-8")


def history(start):
    rows = [{"step": step, "epoch": step, "loss": start / step, "lr": 1e-3, "seconds": step} for step in range(1, 9)]
    return [row | {"dev": {"cer": estimate(1 / row["step"])}} for row in rows]


def predictions(pairs=PAIRS, audio="clips/a.wav", confidence=0.9):
    counted = character_errors(pairs)
    return [
        {
            "id": f"/home/someone/corpus/clips/u{number}.wav",
            "audio": audio,
            "start": None,
            "end": None,
            "reference": said,
            "hypothesis": heard,
            "errors": int(counted.errors[number]),
            "count": int(counted.counts[number]),
            "confidence": confidence,
        }
        for number, (said, heard) in enumerate(pairs)
    ]


@pytest.fixture
def run(tmp_path):
    """A run folder with everything in it."""
    folder = tmp_path / "my run"
    write(folder / "metrics.json", METRICS)
    write(folder / "plan.json", PLAN)
    write(folder / "recipe.json", {"name": "</pre><script>", "steps": 2000})
    write(folder / "history.jsonl", history(6))
    write(folder / "baselines" / "scratch" / "history.jsonl", history(9))
    write(folder / "predictions" / "test.jsonl", predictions())
    reasons = ["digits: holds 3", "digits: holds 7", "silent <b>"]
    write(folder / "ledger.jsonl", [{"audio": "/home/someone/clips/q.wav", "reason": one} for one in reasons])
    write_wav(folder / "clips" / "a.wav", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    return folder


@pytest.fixture
def bare(tmp_path):
    """A run folder with nothing but its metrics."""
    write(tmp_path / "metrics.json", {"test": figures(0.123, 0.345), "baselines": {}, "verdict": None})
    return tmp_path


class Page(HTMLParser):
    """Text, elements and attributes of a page, and whether every element was closed in order."""

    def __init__(self, path):
        super().__init__()
        self.text, self.tags, self.attributes, self.open = "", [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_is_well_formed_and_holds_every_figure(run):
    page = Page(write_report(run))
    assert not page.open
    systems = [
        METRICS["test"],
        METRICS["other"],
        *(t for b in METRICS["baselines"].values() for t in b.values()),
    ]
    for figure in (one for system in systems for one in system.values() if isinstance(one, dict)):
        value, low, high = (f"{figure[name]:.1%}" for name in ("value", "low", "high"))
        assert f"{value} ({low} to {high}) of {figure['count']}" in page.text
    for told in ("many<1> adapted to rus", "<i>much</i>", "One voice is one voice", "worth nothing", "2.2%"):
        assert told in page.text
    assert "6-gram of the training texts: 31 errors in 573 characters of dev" in page.text
    for told in ("1.50 hours", "1234 s", "812 MB", "4.3%", "a device", "CC0-1.0", "spa, fra", "cd" * 32):
        assert told in page.text


def test_every_text_is_escaped(run):
    page = Page(write_report(run))
    assert not {"script", "img", "i", "b", "link", "iframe", "object"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    letters = "".join(page.text.split())
    assert "alert" in letters and "silent<b>" in letters and "frozen<b>" in letters and "булок" in letters


def test_nothing_is_loaded_from_anywhere(run):
    page = Page(write_report(run))
    links = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "data")]
    assert links and all(value.startswith(("#", "data:image/png")) for value in links)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page.source))
    assert "@import" not in page.source
    assert "default-src 'none'" in page.source
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_the_folders_of_the_user_stay_private(run):
    write(run / "predictions" / "test.jsonl", predictions(audio="/home/someone/gone/a.wav"))
    assert "/home/someone" not in write_report(run).read_text(encoding="utf-8")


def test_the_same_run_gives_the_same_page(run):
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_curves_show_this_run_and_its_baselines(run):
    text = Page(write_report(run)).text
    assert text.count("scratch") >= 3  # the table, and the legends of loss and dev CER
    assert "training loss" in text and "dev CER" in text


def test_folds_are_drawn_and_counted(bare):
    for fold in range(3):
        write(bare / "folds" / str(fold) / "history.jsonl", history(fold + 1))
    metrics = json.loads((bare / "metrics.json").read_text())
    write(bare / "metrics.json", {**metrics, "folds": 3})
    text = Page(write_report(bare)).text
    assert "Pooled over 3 folds; every utterance was tested once." in text and "training loss" in text
    write(bare / "metrics.json", {**metrics, "folds": 3, "draws": 20})
    assert "tested once for each of 20 draws of the training recordings" in Page(write_report(bare)).text


def test_plan_and_ledger_are_summarised(run):
    text = Page(write_report(run)).text
    assert "encoder.layers.0.*" in text and "136" in text and "× 0.1 from step 200" in text and "frozen" in text
    assert "digits: 2" in text and "holds 7" in text and "clips/q.wav" in text
    assert "<blank> ␣ а" in text and "cut after layers.2" in text


def test_a_missing_recording_is_said(run):
    (run / "clips" / "a.wav").unlink()
    assert "is no longer where it was" in Page(write_report(run)).text


def test_a_broken_recording_is_said(run):
    (run / "clips" / "a.wav").write_bytes(b"no sound")
    assert "cannot be read" in Page(write_report(run)).text


def test_a_long_recording_is_drawn_in_part(run):
    write_wav(run / "clips" / "a.wav", np.random.default_rng(0).normal(0, 0.1, 20 * 8000), 8000)
    assert "The first 12 of its 20.0 seconds" in Page(write_report(run)).text


def test_a_confident_error_casts_doubt_on_the_reference(run):
    pairs = [("один два три", "один два три")] * 9 + [("первое второе", "совсем иное"), ("шесть семь", "нет")]
    rows = predictions(pairs)
    rows[-1]["confidence"] = 0.1  # much is wrong here too, but the model knew that it was guessing
    write(run / "predictions" / "test.jsonl", rows)
    doubted = write_report(run).read_text(encoding="utf-8").split('<section id="suspicious-references">')[1]
    doubted = doubted.split("</section>")[0]
    assert "u9.wav" in doubted and "u10.wav" not in doubted and "listen to these" in doubted


def test_missing_files_leave_their_sections_out(bare):
    text = Page(write_report(bare)).text
    assert "12.3%" in text and "No verdict" in text
    for section in ("Learning curves", "Examples", "Confusions", "Plan", "Ledger", "Suspicious"):
        assert section not in text
    assert write_card(bare).is_file()


def test_a_language_model_that_did_not_help_is_said(bare):
    write(bare / "metrics.json", METRICS | {"language_model": METRICS["language_model"] | {"errors": 40}})
    assert "were no fewer than 40" in Page(write_report(bare)).text


def test_a_faultless_test_is_said(bare):
    write(bare / "predictions" / "test.jsonl", predictions([("один", "один")] * 3))
    text = Page(write_report(bare)).text
    assert "All 3 utterances of the test were recognised without an error" in text


def test_labels_are_compared_whole(bare):
    rates = {"false_accepts_per_hour": {"value": 0.5, "low": 0.1, "high": 1.4, "count": 3}}
    write(bare / "metrics.json", {"test": {"accuracy": estimate(0.9, 50)} | rates, "task": "keywords"})
    rows = [
        {"id": "a", "reference": "да", "hypothesis": "нет", "errors": 1, "count": 1, "confidence": None},
        {"id": "b", "reference": "да", "hypothesis": "да", "errors": 0, "count": 1, "confidence": None},
    ]
    write(bare / "predictions" / "test.jsonl", rows)
    text = Page(write_report(bare)).text
    assert "keyword spotting" in text and "0.50 (0.10 to 1.40) 3 events" in text
    assert "данет1100.0%" in text.replace("\n", "")
    assert "speechtransfer transcribe" in write_card(bare).read_text(encoding="utf-8")


def test_card_holds_what_a_stranger_needs(run):
    path = write_card(run)
    card = path.read_text(encoding="utf-8")
    assert path.name == "README.md"
    assert "| test | this run | 12.3% (10.2% to 14.6%) of 5213 characters |" in card
    for told in (
        "many\\<1\\>",
        "CC0-1.0",
        "spa, fra",
        "1.50 hours",
        "cd" * 32,
        "One voice is one voice",
        "5213",
    ):
        assert told in card
    assert "    speechtransfer transcribe 'my run' AUDIO" in card
    assert "<i>" not in card


@pytest.mark.parametrize("name", ["metrics.json", "plan.json", "recipe.json", "history.jsonl", "ledger.jsonl"])
@pytest.mark.parametrize("content", ["{", "[1, 2]\n", '{"test": {"cer": {"value": "x"}}, "parameters": 3}'])
def test_a_damaged_file_is_named_and_nothing_is_written(run, name, content):
    (run / name).write_text("{" if name == "recipe.json" else content)  # a recipe may be any JSON
    before = sorted(run.iterdir())
    with pytest.raises(SourceError, match=re.escape(name)):
        write_report(run)
    assert sorted(run.iterdir()) == before


@pytest.mark.parametrize("change", [{"reference": None}, {"errors": "many"}, {"count": None}])
def test_a_damaged_prediction_is_refused(run, change):
    write(run / "predictions" / "test.jsonl", [predictions()[0] | change])
    with pytest.raises(SourceError, match=r"test\.jsonl"):
        write_report(run)


def test_without_metrics_it_is_no_run(tmp_path):
    for make in (write_report, write_card):
        with pytest.raises(SourceError, match="no run folder"):
            make(tmp_path)


def test_metrics_without_a_test_are_refused(bare):
    write(bare / "metrics.json", {"seconds": 3})
    with pytest.raises(SourceError, match="no figure of any test"):
        write_report(bare)


def test_a_failed_write_leaves_the_old_page(run, monkeypatch):
    path = write_report(run)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    write(run / "metrics.json", METRICS | {"language": "ukr"})
    with pytest.raises(DataError, match="No space left"):
        write_report(run)
    assert path.read_bytes() == before
    assert not list(run.glob(".report.html*"))


def test_unknown_fields_unicode_line_ends_and_half_surrogates_pass(run):
    rows = predictions([("a\u2028b\x85c", "a\u2028b\x85d"), ("x", "\\ud800")])
    content = "".join(json.dumps(row | {"new": 1}, ensure_ascii=False) + "\n" for row in rows)
    path = run / "predictions" / "test.jsonl"
    path.write_text(content.replace("\\\\ud800", "\\ud800"), encoding="utf-8")
    assert "U+D800" in write_report(run).read_text(encoding="utf-8")


@pytest.mark.parametrize(("said", "heard"), PAIRS)
def test_alignment_loses_no_letter(said, heard):
    columns = re.findall(r'<span class="(\w+)"[^>]*>(<.*?>.*?</\w+>)(<.*?>.*?</\w+>)</span>', alignment(said, heard))
    page = HTMLParser(convert_charrefs=True)
    read = []
    page.handle_data = read.append
    for place in (1, 2):
        read.append("\n")
        for column in columns:
            page.feed(column[place])
            page.close()
    stand_ins = str.maketrans({"␣": " ", "◌": None, "−": None, "+": None})
    above, below = "".join(read).translate(stand_ins).lstrip("\n").split("\n")
    assert (above, below) == (said, heard)


def test_alignment_marks_errors_by_more_than_colour():
    assert "<del>c</del><span>−</span>" in alignment("abc", "ab")
    assert "<span>+</span><ins>c</ins>" in alignment("ab", "abc")
    assert 'class="substitute" title="substitute: a → b"' in alignment("a", "b")
    assert "<del>a</del>" in alignment("a", "")


@pytest.mark.parametrize(
    ("character", "seen"),
    [("", "∅"), (" ", "␣"), ("\u0301", "◌\u0301"), ("\u200d", "U+200D"), ("ж", "ж"), ("да", "да")],
)
def test_every_character_can_be_seen(character, seen):
    assert shown(character) == seen


def test_confusions_count_what_score_counts():
    counted = substitutions([("$a$ ب", "$b$ न")])
    made = confusions(counted)
    assert made.count("<svg") == 1 and "50.0%" in made and "currentColor" in made


def test_silence_can_be_drawn():
    assert "<svg" in spectrogram(np.zeros(800, np.float32))


def test_markdown_signs_lose_their_powers():
    assert plain("a|b\n# *c* <d>") == r"a\|b \# \*c\* \<d\>"
