"""What mine does: cut keyword clips out of a corpus, or list its words to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from speechtransfer.align import recognisers
from speechtransfer.audio import Recordings
from speechtransfer.checkpoint import load as load_model
from speechtransfer.corpora import detect
from speechtransfer.corpora import load as load_corpus
from speechtransfer.cuts import write_cuts
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.evaluate import contaminated
from speechtransfer.lexicon import counted, legible, parted, wanted
from speechtransfer.manifest import Manifest
from speechtransfer.mining import Cutting, Mined, require_room, told
from speechtransfer.mining import mine as cut_clips
from speechtransfer.offers import find_run
from speechtransfer.text import TextContract
from speechtransfer.textsettings import usual_contract

if TYPE_CHECKING:
    from speechtransfer.keyword_verbs import Mine


def mine(console: Console, request: Mine) -> int:
    """Cut the words that are asked for; with none asked for, list those of the corpus."""
    if not request.words:
        return _list(
            console,
            _loaded(console, request),
            request.least_count,
            usual_contract(request.language).contract(request.language),
        )
    if request.run is None or request.out is None:
        missing = "--run, the run folder of a recogniser" if request.run is None else "--out, the folder to write"
        raise SettingsError(f"mine --words needs {missing}. Without --words it lists the corpus's words.")
    settings = Cutting(request.least_confidence, request.margin, request.at_most)
    require_room(request.out)
    model = load_model(find_run(request.run))
    contract = recognisers(model.objective)[0].vocabulary.contract
    _require_words(contract)
    words = wanted(parted(request.words), contract)
    manifest = legible(_loaded(console, request), contract)
    mined = cut_clips(model, manifest, Recordings(model.encoder.sample_rate), words, request.out, settings)
    write_cuts(request.out / "cuts.html", mined)
    _tell(console, mined, request.least_count)
    learnt = set(contaminated(model.encoder.card, {cut.row.id: cut.row for cut in mined.clips.values()}.values()))
    if learnt:
        count = sum(cut.row.id in learnt for cut in mined.clips.values())
        console.print(
            f"{count} of {len(mined.clips)} clips are from recordings that the model was trained on; of those it is "
            "surer than of others"
        )
    console.print(f"{request.out}: look at cuts.html, then adapt {request.out} --task keywords")
    return 0


def _loaded(console: Console, request: Mine) -> Manifest:
    console.print(f"{request.corpus}: read as {request.format or detect(request.corpus)}")
    return load_corpus(request.corpus, request.format, request.audio_root, request.language)


def _list(console: Console, manifest: Manifest, least: int, contract: TextContract) -> int:
    """Words said at least so often, the commonest first."""
    _require_words(contract)
    rows = legible(manifest, contract)
    words = [one for one in counted(rows, contract) if one.occurrences >= least]
    if not words:
        raise DataError(
            f"no word is said {least} times in {len(rows)} utterances with a usable transcript. Lower --least-count."
        )
    table = Table(Column("word", overflow="fold"), "occurrences", "utterances", "speakers")
    for one in words:
        table.add_row(one.word, str(one.occurrences), str(one.utterances), str(one.speakers or "not known"))
    console.print(table)
    console.print(
        f"{len(words)} words are said {least} times or more; choose some with --words a,b --run RUN --out OUT"
    )
    return 0


def _require_words(contract: TextContract) -> None:
    if not contract.has_words:
        raise SettingsError(
            f"{contract.language}: spaces separate no words in its writing, and mine finds words between spaces. "
            "Divide the transcripts' words by spaces, then adapt and mine by the plain rules (contract.rules=plain)."
        )


def _tell(console: Console, mined: Mined, least: int) -> None:
    """What became of each word, and a warning for those with few clips."""
    table = Table(Column("word", overflow="fold"), "occurrences", "clips", "dropped", "median confidence")
    for word, tally in mined.tallies.items():
        sure = "" if tally.confidence is None else f"{tally.confidence:.2f}"
        table.add_row(word, str(tally.occurrences), str(tally.clips), told(tally), sure)
    console.print(table)
    for word, tally in mined.tallies.items():
        if tally.clips < least:
            console.print(f"warning: {word}: {tally.clips} clips, fewer than {least}", style="bold")
