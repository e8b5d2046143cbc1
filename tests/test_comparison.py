"""Finished runs held against others: the folds that they share, seeds and draws, and what cannot be compared."""

import json
from itertools import chain
from pathlib import Path

import pytest

from speechtransfer.cli import main
from speechtransfer.comparison import compare
from speechtransfer.errors import DataError, SourceError, SpeechTransferError
from speechtransfer.score import Transcription, score_labels, score_transcriptions
from speechtransfer.verdict import judge

SAID = "абвг дежзи"


def heard(wrong, fold=0, count=36):
    """One utterance in each of ``count`` prompts of a fold; utterance i has ``wrong(i)`` of its characters wrong."""
    return [
        Transcription(f"f{fold}u{i}", SAID, "х" * wrong(i) + SAID[wrong(i) :], f"f{fold}p{i}") for i in range(count)
    ]


def write(folder, rows, kind="ctc", name="test", contents=None):
    """A finished run folder as far as figures go; a further test set where it is there already."""
    scores = (score_transcriptions if kind == "ctc" else score_labels)(rows)
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    metrics = folder / "metrics.json"
    facts = json.loads(metrics.read_text()) if metrics.exists() else {"task": kind}
    metrics.write_text(json.dumps(facts | {name: scores.as_dict()}))
    known = [
        {} if one is None else {"content": one, "start": None, "end": None} for one in contents or [None] * len(rows)
    ]
    lines = [
        json.dumps(vars(row) | {"scores": None, "accepted": None} | more) for row, more in zip(rows, known, strict=True)
    ]
    (folder / "predictions" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def of_folds(folder, wrong, folds, shift=0):
    """A run of several folds (or draws of them); its top is of no interest to a comparison."""
    for number, fold in enumerate(folds):
        write(folder / "folds" / str(number), heard(lambda i, n=number: wrong(i + shift * n), fold))
    return folder


def few(i):
    return i % 3


def many(i):
    return 3 + i % 4


def judged(ours, theirs, **words):
    return judge(
        [score_transcriptions(rows) for rows in ours], [score_transcriptions(rows) for rows in theirs], **words
    )


def test_two_plain_runs_are_judged_in_their_own_names(tmp_path):
    good, bad = write(tmp_path / "good", heard(few)), write(tmp_path / "bad", heard(many))
    found = compare([good], [bad])
    assert (found.folds, found.all_folds, [*found.verdicts]) == (1, 1, ["test"])
    verdict, oracle = found.verdicts["test"], judged([heard(few)], [heard(many)])
    assert verdict.difference == oracle.difference
    figures = oracle.text.removeprefix("Transfer helps: ").replace("from scratch", f"of {bad}")
    assert verdict.text == f"Better: {figures}"
    assert compare([bad], [good]).verdicts["test"].text.startswith("Worse: CER 45.0% against 10.0% of ")
    same = write(tmp_path / "same", heard(few))
    assert compare([good], [same]).verdicts["test"].text.startswith("No difference can be claimed: ")


def test_folds_are_pooled_and_matched_by_what_they_test_not_by_their_numbers(tmp_path):
    three = of_folds(tmp_path / "three", few, [0, 1, 2], shift=1)
    turned = of_folds(tmp_path / "turned", many, [2, 0, 1])
    oracle = judged(
        [[*chain(*(heard(lambda i, n=n: few(i + n), n) for n in range(3)))]],
        [[*chain(*(heard(many, n) for n in range(3)))]],
    )
    found = compare([three], [turned])
    assert (found.folds, found.all_folds) == (3, 3)
    assert found.verdicts["test"].difference == oracle.difference


def test_only_folds_that_all_have_are_compared(tmp_path):
    three = of_folds(tmp_path / "three", few, [0, 1, 2], shift=1)
    plain = write(tmp_path / "plain", heard(many, 1))
    found = compare([three], [plain])
    assert (found.folds, found.all_folds) == (1, 3)
    oracle = judged([heard(lambda i: few(i + 1), 1)], [heard(many, 1)])
    assert found.verdicts["test"].difference == oracle.difference
    assert found.verdicts["test"].difference.count == 360


def test_draws_and_seeds_are_averaged(tmp_path):
    drawn = of_folds(tmp_path / "drawn", few, [0, 1, 0, 1], shift=1)
    seeds = [of_folds(tmp_path / str(seed), many, [0, 1], shift=seed) for seed in (1, 2)]

    def run(wrong, shifts):
        return [*chain(*(heard(lambda i, s=s: wrong(i + s), fold) for fold, s in enumerate(shifts)))]

    oracle = judged([run(few, (0, 1)), run(few, (2, 3))], [run(many, (0, 1)), run(many, (0, 2))])
    found = compare([drawn], seeds).verdicts["test"].difference
    assert (found.value, found.low, found.high) == pytest.approx(
        (oracle.difference.value, oracle.difference.low, oracle.difference.high)
    )


def test_a_baseline_in_a_run_folder_and_further_tests_are_compared_too(tmp_path):
    run = write(tmp_path / "run", heard(few))
    write(run, heard(few, 7), name="other_voice")
    scratch = write(run / "baselines" / "scratch", heard(many))
    alone = compare([run], [scratch])
    assert ([*alone.verdicts], [*alone.left_out]) == (["test"], ["other_voice"])
    write(scratch, heard(many, 7), name="other_voice")
    assert sorted(compare([run], [scratch]).verdicts) == ["other_voice", "test"]
    write(scratch, heard(many, 8), name="other_voice")
    found = compare([run], [scratch])
    assert [*found.verdicts] == ["test"]
    assert "were tested in one run only" in found.left_out["other_voice"]


def test_a_test_that_every_fold_heard_is_judged_by_all_of_their_models(tmp_path):
    run, other = of_folds(tmp_path / "run", few, [0, 1, 2]), of_folds(tmp_path / "other", few, [0, 1, 2])
    wrong = (lambda i: 0, lambda i: 8 + i % 2, lambda i: 9)
    for number, each in enumerate(wrong):
        write(run / "folds" / str(number), heard(each, 7), name="voice")
        write(other / "folds" / str(number), heard(lambda i: 2, 7), name="voice")
    found = compare([run], [other]).verdicts["voice"]
    assert found.difference == judged([heard(each, 7) for each in wrong], [heard(lambda i: 2, 7)] * 3).difference
    assert found.text.startswith("Worse: ")


def test_the_metric_is_the_tasks_own_or_the_one_that_is_asked_for(tmp_path):
    good, bad = write(tmp_path / "good", heard(few)), write(tmp_path / "bad", heard(many))
    words = compare([good], [bad], "wer").verdicts["test"]
    assert words.metric == "wer"
    assert words.difference == judged([heard(few)], [heard(many)], metric="wer").difference
    spots = write(tmp_path / "spots", heard(few), "keywords")
    assert compare([spots], [write(tmp_path / "spots2", heard(few), "keywords")]).verdicts["test"].metric == "accuracy"
    with pytest.raises(DataError, match=r"test: not all of .* have 'accuracy'\. Compare runs of one task"):
        compare([spots], [good])


def test_what_cannot_be_compared_is_refused(tmp_path):
    good = write(tmp_path / "good", heard(few))
    elsewhere = write(tmp_path / "elsewhere", heard(few, 3))
    with pytest.raises(DataError, match=r"other utterances: f0u0 is of .*good alone\. Compare runs of the same data"):
        compare([good], [elsewhere])
    with pytest.raises(DataError, match=r"good and .*elsewhere were tested on other utterances"):
        compare([good, elsewhere], [write(tmp_path / "same", heard(few))])
    dealt = write(tmp_path / "dealt" / "folds" / "0", heard(few)[::2]).parents[1]
    write(dealt / "folds" / "1", heard(few)[1::2])
    with pytest.raises(DataError, match="dealt the same ones into folds otherwise"):
        compare([good], [dealt])
    other = [Transcription(row.id, row.reference[1:], row.hypothesis, row.group) for row in heard(few)]
    with pytest.raises(DataError, match="one text contract"):
        compare([good], [write(tmp_path / "other", other)])
    with pytest.raises(DataError, match="Name a run folder of each"):
        compare([], [good])
    with pytest.raises(DataError, match="is named twice"):
        compare([good], [good.parent / "good"])
    with pytest.raises(SourceError, match=r"holds several runs\. Name one of them: .*/elsewhere, .*/good"):
        compare([good], [tmp_path])
    speakers = [Transcription(row.id, row.reference, row.hypothesis, "one voice") for row in heard(few)]
    for pair in ((good, write(tmp_path / "speakers", speakers)), (tmp_path / "speakers", good)):
        with pytest.raises(DataError, match="Let both know the speakers"):
            compare([pair[0]], [pair[1]])
    (good / "predictions" / "test.jsonl").unlink()
    with pytest.raises(SourceError, match=r"has no predictions/test\.jsonl"):
        compare([good], [tmp_path / "other"])


def test_the_command_says_which_folds_it_compares(tmp_path, capsys):
    three, plain = of_folds(tmp_path / "three", few, [0, 1, 2]), write(tmp_path / "plain", heard(many, 1))
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(three), "--against", str(plain)])
    told = capsys.readouterr().out.splitlines()
    assert (ended.value.code, told[0]) == (0, "on the 1 of 3 folds that all of them were tested on")
    assert told[1].startswith(f"test: Better: CER 10.0% against 45.0% of {plain}")
    with pytest.raises(SystemExit) as refused:
        main(["compare", str(three), "--against", str(Path(tmp_path / "nothing"))])
    assert refused.value.code == 1
    assert "nothing is no run folder" in capsys.readouterr().err


def test_runs_of_one_side_that_are_no_seeds_of_one_system_are_named(tmp_path, capsys):
    one, two, other = (write(tmp_path / name, heard(few)) for name in ("one", "two", "other"))
    recipe = {"commit": "a", "settings": {"seed": 1, "lr": 0.1, "steps": 9}, "train_minutes": None}
    for run, changes in ((one, {}), (two, {"commit": "b", "settings": {"seed": 2, "lr": 0.1, "steps": 8}})):
        (run / "recipe.json").write_text(json.dumps(recipe | changes))
    assert compare([one, two], [other]).unlike == ((), ())
    (two / "recipe.json").write_text(json.dumps(recipe | {"settings": {"lr": 0.2}, "train_minutes": 4}))
    assert compare([other], [one, two]).unlike == ((), ("settings.lr", "train_minutes"))
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(other), "--against", str(one), str(two)])
    assert ended.value.code == 0
    assert "two are no seeds of one system: they differ in settings.lr, train_minutes" in capsys.readouterr().out


def moved(rows, folder):
    """The same utterances under other names; each is a group of its own."""
    return [Transcription(*(f"{folder}/{row.id}", row.reference, row.hypothesis, f"{folder}/{row.id}")) for row in rows]


def test_utterances_are_known_by_their_sound_wherever_their_files_lay(tmp_path):
    contents = [f"sound {i // 2}" for i in range(36)]  # each is there twice
    ours = write(tmp_path / "ours", moved(heard(few), "/before"), contents=contents)
    theirs = write(tmp_path / "theirs", moved(heard(many), "/after"), contents=contents)
    assert compare([ours], [theirs]).verdicts["test"].difference == judged([heard(few)], [heard(many)]).difference
    # One that was written before sounds were recorded is known by the names of its files.
    old = write(tmp_path / "old", moved(heard(many), "/before"))
    for pair in ((ours, old), (old, ours)):
        assert [*compare([pair[0]], [pair[1]]).verdicts] == ["test"]
    spoken_again = write(tmp_path / "again", moved(heard(few), "/before"), contents=[f"new {i}" for i in range(36)])
    with pytest.raises(DataError, match=r"tested on other utterances: /before/f0u0 is of .*ours alone"):
        compare([ours], [spoken_again])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        *[("metrics.json", text, "is not what a run writes") for text in ("[]", "null", "{}", '{"task": "poetry"}')],
        ("metrics.json", '{"task": "ctc", "test": 7}', "is not what a run writes"),
        ("metrics.json", '{"task": "ctc", "test": {"notes": 3}}', "is not what a run writes"),
        ("predictions/test.jsonl", "", "holds no utterance"),
        (
            "predictions/test.jsonl",
            '{"id": "a", "reference": null, "hypothesis": "", "group": ""}',
            "reference is no text",
        ),
        ("predictions/test.jsonl", '{"id": "a"}', "reference is no text"),
        ("predictions/test.jsonl", '{"id": "a", "reference": "", "hypothesis": "", "group": ""}\n' * 2, ":2: a stands"),
        ("predictions/test.jsonl", "[]", "is not a JSON object"),
        (
            "predictions/test.jsonl",
            '{"id": "a", "reference": "a", "hypothesis": "a", "group": "a", "content": {}, "start": 0, "end": 1}',
            "is not what a run writes",
        ),
    ],
)
def test_damage_is_named(tmp_path, name, content, said):
    good, bad = write(tmp_path / "good", heard(few)), write(tmp_path / "bad", heard(many))
    (bad / name).write_text(content)
    with pytest.raises(SpeechTransferError, match=f"bad/{name}.*{said}"):
        compare([good], [bad])


def test_predictions_that_are_a_folder_are_named(tmp_path):
    run = write(tmp_path / "run", heard(few))
    (run / "predictions" / "other.jsonl").mkdir()
    with pytest.raises(SpeechTransferError, match=r"other\.jsonl"):
        compare([run], [write(tmp_path / "other", heard(few))])
