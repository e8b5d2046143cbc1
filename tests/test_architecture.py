"""Tests of what DESIGN decides about every file, read with stdlib `ast` alone; the tables below are the rule."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "speechtransfer"

#: A module imports from lower layers only. A folder is one entry: its members know its contract, not each other.
LAYERS: dict[int, tuple[str, ...]] = {
    -1: ("errors",),
    0: (
        *(
            "console",
            "containers",
            "events",
            "files",
            "languages",
            "manifest",
            "ngram",
            "numerals",
            "overrides",
            "score",
            "text",
        ),
        "units",
    ),
    1: (
        *("acceptance", "audio", "augmentation", "bucketing", "ctc", "decode", "episodes", "features", "frames"),
        *("lexicon", "listening", "measure", "muon", "pronunciation", "separation", "soundness", "splits"),
        *("symptoms", "textsettings", "trellis", "trimming", "unitsettings", "vocabulary", "weights"),
    ),
    2: ("corpora", "encoders", "graft", "objectives"),
    3: ("batches", "joining", "keeping", "model", "penalty", "practice", "transfer"),
    4: (
        *("activations", "align", "checkpoint", "doctor", "drafts", "embedding", "evaluate", "hearing", "mining"),
        *("offers", "plausible", "resume", "schedule", "segment", "sources", "stream"),
    ),
    5: ("fit",),
    6: (
        *("amounts", "cuts", "detections", "doubts", "findings", "grading", "pictures", "record", "report", "rundata"),
        *("trial", "verdict"),
    ),
    7: (
        *("baseline", "catalogue", "comparison", "continuing", "defaults", "pooling", "recipe", "recognition"),
        *("spotting", "tasks", "telling"),
    ),
    8: ("__init__", "__main__", "actions", "align_verb", "cli", "finished_verbs", "keyword_verbs"),
}
#: Imports within a layer, each for a reason; all others are refused.
WITHIN_A_LAYER = {
    ("manifest", "files"): "a manifest is written atomically",
    ("decode", "ctc"): "both know how many frames a text needs",
    ("features", "frames"): "a front end masks by length",
    ("text", "languages"): "a contract may be a language's",
    ("text", "numerals"): "it may write numbers out",
    ("unitsettings", "pronunciation"): "a lexicon's phones are units",
    ("vocabulary", "pronunciation"): "the same",
    ("listening", "audio"): "a file is examined before it is listened to",
    ("measure", "audio"): "what is measured is decoded",
    ("soundness", "measure"): "it judges what was measured",
    ("soundness", "symptoms"): "a doubt about sound is told like one about text",
    ("separation", "symptoms"): "a leak is a doubt about a row",
    ("transfer", "model"): "surgery yields a model",
    ("practice", "batches"): "what an item draws depends on its name alone, everywhere",
    ("align", "evaluate"): "both fill a batch with as much sound",
    ("embedding", "checkpoint"): "a source is described in JSON, as in a run folder",
    ("embedding", "evaluate"): "both fill a batch with as much sound",
    ("mining", "align"): "what is cut was aligned",
    ("plausible", "align"): "what is doubted was aligned",
    ("hearing", "align"): "one chooses among the output layers that write letters",
    ("segment", "hearing"): "lines are placed in what is heard",
    ("drafts", "hearing"): "what is heard is written down",
    ("mining", "doctor"): "what is cut was examined",
    ("offers", "checkpoint"): "a run folder is a source",
    ("offers", "sources"): "a listing is of what loading finds",
    ("sources", "checkpoint"): "a run folder is a source",
    ("activations", "checkpoint"): "what is kept is described in JSON, as in a run folder",
    ("activations", "evaluate"): "both fill a batch with as much sound",
    ("resume", "checkpoint"): "training goes on from files of a run folder",
    ("cuts", "pictures"): "the page shows them",
    ("findings", "pictures"): "the page shows them",
    ("doubts", "pictures"): "so does this one",
    ("report", "pictures"): "the report shows them",
    ("amounts", "pictures"): "lines look as a report's",
    ("amounts", "record"): "it draws what is recorded",
    ("recipe", "baseline"): "a recipe says what is trained beside it",
    ("report", "detections"): "a section of the report, in a file of its own for its length",
    ("detections", "pictures"): "drawn alike",
    ("detections", "rundata"): "of the rows of a run folder",
    ("report", "grading"): "likewise",
    ("grading", "pictures"): "drawn alike",
    ("grading", "rundata"): "of the rows of a run folder",
    ("report", "rundata"): "the report reads a run folder through it",
    ("rundata", "pictures"): "damage is told in the report's words",
    ("catalogue", "recipe"): "it finds recipes",
    ("defaults", "recipe"): "they are a recipe",
    ("recipe", "continuing"): "a run continues itself alone",
    ("continuing", "baseline"): "a run keeps the baseline that it was judged by",
    ("recipe", "pooling"): "a recipe pools its folds",
    ("comparison", "pooling"): "runs of several folds are compared as they are pooled",
    ("telling", "recipe"): "it tells what a recipe is about to learn from",
    ("telling", "recognition"): "and what its outputs stand for",
    ("telling", "tasks"): "in its first fold",
    ("recipe", "tasks"): "a recipe cuts its data into tasks",
    ("recipe", "spotting"): "a recipe has a spotter's settings",
    ("defaults", "spotting"): "they are a recipe",
    ("tasks", "spotting"): "a spotter's task has more than its words",
    ("tasks", "recognition"): "a recogniser's output layers, in a file for themselves",
    ("cli", "actions.check"): "a verb calls what it does",
    ("cli", "actions.listing"): "a verb calls what it does",
    ("cli", "actions.train"): "a verb calls what it does",
    ("cli", "actions.transcribe"): "a verb calls what it does",
    ("cli", "actions.use"): "a verb calls what it does",
    ("align_verb", "actions.align"): "a verb calls what it does",
    ("cli", "align_verb"): "a verb in a file of its own, for its length",
    ("cli", "finished_verbs"): "verbs in a file of their own, for their length",
    ("finished_verbs", "actions.compare"): "a verb calls what it does",
    ("cli", "keyword_verbs"): "verbs in a file of their own, for their length",
    ("keyword_verbs", "actions.enrol"): "a verb calls what it does",
    ("keyword_verbs", "actions.spot"): "a verb calls what it does",
    ("keyword_verbs", "actions.mine"): "a verb calls what it does",
    ("cli", "__init__"): "the help begins with the package's docstring",
    ("__main__", "cli"): "python -m",
    ("corpora.prose", "corpora.debian"): "a package of text is fetched like one of sound",
    ("corpora.dictionaries", "corpora.delimited"): "a list of words may be a table with a header",
    ("corpora.prose", "corpora.dictionaries"): "and a dictionary's words may be all of it that there is",
    ("corpora.prose", "corpora.pages"): "text without sound often lies in web pages",
    ("corpora.elan", "corpora.media"): "an ELAN file names its sound",
    ("corpora.elan", "corpora.spans"): "its annotations become rows like Praat's",
    ("corpora.elan", "corpora.tiers"): "its tiers are chosen like Praat's",
    ("corpora.hub", "corpora.media"): "a row of a data set may name its sound",
    ("corpora.hub", "corpora.spans"): "its rows may be of one sound, like annotations",
    ("corpora.hub", "corpora.hub_rows"): "its rows, in a file of their own for its length",
    ("corpora.hub_rows", "corpora.media"): "a row of a data set may name its sound",
    ("corpora.hub_rows", "corpora.tables"): "its columns are named like a table's",
    ("corpora.lhotse_cuts", "corpora.media"): "a recording names its sound",
    ("corpora.lhotse_cuts", "corpora.spans"): "its supervisions may be of one stretch, like annotations",
    ("corpora.praat", "corpora.media"): "a TextGrid's sound is found by its name",
    ("corpora.praat", "corpora.spans"): "its intervals become rows like ELAN's",
    ("corpora.praat", "corpora.tiers"): "its tiers are chosen like ELAN's",
    ("corpora.subtitles", "corpora.iso639"): "a language's code may stand behind their name",
    ("corpora.subtitles", "corpora.media"): "their sound is found by its name",
    ("corpora.subtitles", "corpora.spans"): "they become rows like ELAN's annotations",
    ("corpora.subtitles", "corpora.tiers"): "a file of them is one tier",
    ("corpora.spans", "corpora.tiers"): "what is annotated lies in tiers",
    ("corpora.clips", "corpora.media"): "clips are found as all sound is",
    ("corpora.kaldi", "corpora.iso639"): "utt2lang names languages",
    ("corpora.kaldi", "corpora.media"): "wav.scp has the paths of another machine",
    ("corpora.lists", "corpora.pairing"): "a list names its recordings",
    ("corpora.lists", "corpora.tables"): "a list with a known header is a table",
    ("corpora.pairing", "corpora.media"): "names may be paths of another machine",
    ("corpora.mswc", "corpora.clips"): "it keeps its clips in one folder",
    ("corpora.mswc", "corpora.delimited"): "its tables have a header",
    ("corpora.mswc", "corpora.iso639"): "it names languages by their locale",
    ("corpora.mswc", "corpora.media"): "a clip's folder is its word",
    ("corpora.speechcommands", "corpora.folder"): "its words are class folders",
    ("corpora.speechcommands", "corpora.media"): "its lists name files by their paths",
    ("corpora.voice_tsv", "corpora.clips"): "it keeps its clips in one folder",
    ("corpora.voice_tsv", "corpora.delimited"): "its tables have a header",
    ("corpora.voice_tsv", "corpora.iso639"): "it names languages by their locale",
    ("objectives.classify", "objectives.pooled"): "one label an utterance, from pooled frames",
    ("objectives.contrast", "objectives.pooled"): "the same",
    ("objectives.regress", "objectives.pooled"): "the same",
    ("objectives.nearest", "objectives.pooled"): "the same",
    ("objectives.contrast", "objectives.nearest"): "what compares clips knows a word by the nearest",
    ("objectives.match", "objectives.nearest"): "the same",
    ("objectives.match", "objectives.warping"): "its distance, in a file for itself",
    ("objectives.match", "objectives.whitening"): "its metric, likewise",
    ("objectives.contrast", "objectives.comparisons"): "its losses, in a file for themselves",
    ("objectives.contrast", "objectives.whitening"): "its metric, likewise",
    ("encoders.waveform", "encoders.waveform_frontend"): "a family's blocks, in a file each for their length",
    ("encoders.waveform", "encoders.waveform_layers"): "the same",
    ("encoders.waveform_frontend", "encoders.filterbanks"): "w2v-BERT hears a filterbank",
    ("encoders.parakeet", "encoders.filterbanks"): "so does Parakeet",
    ("encoders.compact", "encoders.filterbanks"): "and so does compact",
    ("encoders.vision", "encoders.filterbanks"): "and a picture is of the same",
    ("encoders.compact", "encoders.causal"): "it is causal",
}
#: Names for the type checker alone, which no run ever imports.
FOR_TYPES_ALONE = {
    ("actions.align", "align_verb"): "an action takes its verb's dataclass",
    ("actions.compare", "finished_verbs"): "an action takes its verb's dataclass",
    ("actions.mine", "keyword_verbs"): "an action takes its verb's dataclass",
    ("actions.check", "cli"): "an action takes its verb's dataclass",
    ("actions.train", "cli"): "an action takes its verb's dataclass",
    ("actions.enrol", "keyword_verbs"): "an action takes its verb's dataclass",
    ("actions.transcribe", "cli"): "an action takes its verb's dataclass",
    ("actions.use", "cli"): "an action takes its verb's dataclass",
    ("actions.spot", "keyword_verbs"): "an action takes its verb's dataclass",
    ("continuing", "recipe"): "a run was begun with a recipe",
    ("tasks", "recipe"): "a task is cut as its recipe says",
    ("recognition", "recipe"): "it is made as its recipe says",
    ("spotting", "recipe"): "it is made as its recipe says",
}
#: Libraries with one home: (modules or folders that may import them).
HOMES: dict[str, tuple[str, ...]] = {
    "transformers": ("encoders", "sources"),
    "huggingface_hub": ("encoders", "sources"),
    "soundfile": ("audio",),
    "sounddevice": ("listening",),
    "av": ("containers", "listening"),
    "librosa": ("audio",),
    "soxr": ("audio", "listening"),
    "datasets": ("corpora",),
    "pympi": ("corpora",),
    "praatio": ("corpora",),
    "srt": ("corpora",),
    "webvtt": ("corpora",),
    "jiwer": ("score",),
    "sklearn": ("score",),
    "pyroomacoustics": ("augmentation",),
    "scipy": ("augmentation", "score"),
    "accelerate": ("fit",),
    "peft": ("graft", "transfer"),
    "anyascii": ("graft",),
    "pytorch_metric_learning": ("objectives",),
    "tyro": ("align_verb", "cli", "finished_verbs", "keyword_verbs"),
    "num2words": ("numerals",),
    "tokenizers": ("units",),
}
#: What the lowest modules may know beside the standard library.
MAY_KNOW: dict[str, frozenset[str]] = {
    **dict.fromkeys(("bucketing", "episodes", "errors", "events", "files", "languages"), frozenset()),
    **dict.fromkeys(("lexicon", "manifest", "overrides", "splits", "textsettings"), frozenset()),
    "numerals": frozenset({"num2words", "regex"}),
    **dict.fromkeys(("ngram", "trellis"), frozenset({"numpy"})),
    **dict.fromkeys(("pronunciation", "text"), frozenset({"regex"})),
    **dict.fromkeys(("unitsettings", "vocabulary"), frozenset()),
    "units": frozenset({"regex", "tokenizers"}),
    "score": frozenset({"jiwer", "numpy", "sklearn", "scipy"}),
    **dict.fromkeys(("acceptance", "frames"), frozenset({"torch"})),
    "features": frozenset({"numpy", "torch", "torchaudio", "numba"}),
    "weights": frozenset({"torch", "safetensors"}),
    **dict.fromkeys(("ctc", "decode"), frozenset({"torch", "torchaudio", "numba"})),
    "augmentation": frozenset({"numpy", "pyroomacoustics", "scipy"}),
    "audio": frozenset({"soundfile", "librosa", "soxr", "numpy"}),
    "containers": frozenset({"av", "numpy"}),
}
TOP_LEVEL = {"pyproject.toml", "README.md", "speechtransfer", "recipes", "tests", "data", "LICENSE", "CHANGELOG.md"}
PUBLIC = [
    "load_encoder",
    "read_manifest",
    "Vocabulary",
    "Rule",
    "Transfer",
    "objectives",
    "fit",
    "evaluate",
    "load",
    "Recipe",
]
LONGEST_FILE, MOST_LONG_FILES = 300, 0.05
MOST_PARAMETERS = 10
LEAST_DOCUMENTED = 0.97
VAGUE = re.compile("util|helper|common(?!voice)|misc")  # Common Voice is a name

LAYER_OF = {module: layer for layer, modules in LAYERS.items() for module in modules}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    """``encoders.whisper`` for a file, ``encoders`` for a folder's ``__init__``, ``__init__`` for the package's."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in files("speechtransfer") if "data" not in path.parts[-3:-1]}


def for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(node: ast.AST, at_run: bool = True) -> Iterator[tuple[str, bool]]:
    """Dotted names of everything imported below a node, in functions too, and whether a run imports it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, at_run) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from ((f"{'.' * child.level}{child.module or ''}.{alias.name}", at_run) for alias in child.names)
        yield from imports(child, at_run and not for_types(child))


def known(path: Path) -> Iterator[tuple[str, bool]]:
    """Modules of ours that a file imports."""
    for name, at_run in imports(parsed(path)):
        assert not name.startswith("."), f"{path}: import {name} by its full name"
        head, *parts = name.split(".")
        if head == "speechtransfer":
            candidates = (".".join(parts[:size]) for size in range(len(parts), 0, -1))
            yield next((one for one in candidates if one in MODULES), "__init__"), at_run


EDGES = sorted({(name, other, at_run) for name, path in MODULES.items() for other, at_run in known(path)})


def allowed(name: str, other: str) -> bool:
    folder, _, member = name.partition(".")
    if folder == other.partition(".")[0]:
        # A member knows its contract, the folder its members.
        return other == f"{folder}.contract" or not member or (name, other) in WITHIN_A_LAYER
    return LAYER_OF[other.partition(".")[0]] < LAYER_OF[folder] or (name, other) in WITHIN_A_LAYER


def test_every_module_has_its_layer() -> None:
    homeless = sorted(name for name in MODULES if name.partition(".")[0] not in LAYER_OF)
    assert not homeless, "place these in LAYERS (and in DESIGN's table)"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_downwards(name: str) -> None:
    for _, other, at_run in (edge for edge in EDGES if edge[0] == name):
        fine = allowed(name, other) or (not at_run and (name, other) in FOR_TYPES_ALONE)
        assert fine, f"{name} (layer {LAYER_OF[name.partition('.')[0]]}) may not import {other}"


def test_no_exception_stands_in_the_tables_unused() -> None:
    pairs = {(name, other): at_run for name, other, at_run in EDGES}
    assert not WITHIN_A_LAYER.keys() - pairs.keys()
    assert not {pair for pair in FOR_TYPES_ALONE if pairs.get(pair) is not False}


def test_there_is_no_cycle() -> None:
    below: dict[str, set[str]] = {name: set() for name in MODULES}
    for name, other, at_run in EDGES:
        if at_run:
            below[name].add(other)
    while below:
        leaves = {name for name, others in below.items() if not others & below.keys()}
        assert leaves, f"a cycle among {sorted(below)}"
        below = {name: others for name, others in below.items() if name not in leaves}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_libraries_stay_at_home(name: str) -> None:
    external = {dotted.split(".")[0] for dotted, _ in imports(parsed(MODULES[name]))}
    external -= {*sys.stdlib_module_names, "speechtransfer"}
    strangers = {one for one in external if name.partition(".")[0] not in HOMES.get(one, (name.partition(".")[0],))}
    assert not strangers, f"{name} is not the home of {strangers}"
    assert external <= MAY_KNOW.get(name, external), f"{name} may know {sorted(MAY_KNOW[name])}"


def test_no_module_is_named_vaguely() -> None:
    named = {path.relative_to(ROOT) for path in files("speechtransfer", "recipes", "tests")}
    assert not [path for path in named if VAGUE.search(str(path))]


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def decorators(node: Function | ast.ClassDef) -> set[str]:
    return {ast.unparse(one).split("(")[0].rpartition(".")[2] for one in node.decorator_list}


def test_no_function_has_too_many_parameters() -> None:
    for path in files("speechtransfer", "recipes", "tests"):
        for function in functions(parsed(path)):
            given = function.args
            named = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            count = len(set(named) - {"self", "cls"}) + bool(given.vararg) + bool(given.kwarg)
            assert count <= MOST_PARAMETERS, f"{path}:{function.lineno} {function.name} has {count}"


def public(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, bool]]:
    """Public functions and classes of a module, with the methods of its classes, and whether each is documented."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            if "overload" not in decorators(node):
                yield f"{prefix}.{node.name}", bool(ast.get_docstring(node))
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{prefix}.{node.name}")


def test_public_names_are_documented() -> None:
    names = [pair for name, path in MODULES.items() for pair in public(parsed(path).body, name)]
    bare = [name for name, documented in names if not documented]
    assert len(names) > 100
    assert 1 - len(bare) / len(names) >= LEAST_DOCUMENTED, bare


def test_files_are_short() -> None:
    lines = {path.relative_to(ROOT): path.read_text(encoding="utf-8").count("\n") for path in ALL}
    long = {str(path): count for path, count in lines.items() if count > LONGEST_FILE}
    assert len(long) <= MOST_LONG_FILES * len(lines), f"{len(long)} of {len(lines)}: {long}"


ALL = files("speechtransfer", "recipes", "tests")


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_begins_by_saying_what_it_is_for(path: Path) -> None:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    assert re.match(r'r?"""\S', first), "the first line is a docstring"
    assert ast.get_docstring(parsed(path))


def test_user_errors_are_exceptions_never_assert() -> None:
    found = [
        (name, node.lineno)
        for name, path in MODULES.items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Assert)
    ]
    assert not found


def test_nothing_overrides_a_concrete_method() -> None:
    """Classes are abstract or final; only ``__init__``, which is no method of an instance yet, may be defined anew."""
    trees = [parsed(path) for path in MODULES.values()]
    classes = {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}

    def ancestors(node: ast.ClassDef) -> Iterator[ast.ClassDef]:
        for base in node.bases:
            parent = classes.get(ast.unparse(base).split("[")[0].rpartition(".")[2])
            if parent is not None and parent is not node:
                yield parent
                yield from ancestors(parent)

    def methods(node: ast.ClassDef) -> dict[str, set[str]]:
        return {one.name: decorators(one) for one in node.body if isinstance(one, Function)}

    for node in classes.values():
        for parent in ancestors(node):
            concrete = {name for name, marks in methods(parent).items() if "abstractmethod" not in marks}
            again = methods(node).keys() & concrete - {"__init__"}
            assert not again, f"{node.name} overrides {sorted(again)} of {parent.name}"


def test_the_top_level_holds_what_design_allows() -> None:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    found = {line.strip('"').split("/")[0] for line in done.stdout.splitlines()}
    assert found
    assert not {name for name in found if not name.startswith(".")} - TOP_LEVEL


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, speechtransfer\n"
        f"assert set({PUBLIC}) <= set(speechtransfer.__all__)\n"
        "speechtransfer.Vocabulary, speechtransfer.read_manifest\n"
        "print(*{'torch', 'transformers', 'numpy', 'librosa', 'accelerate'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
