"""A small corpus of every format that an importer reads, and what it holds counted without us."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import exported
import laid_out

from speechtransfer.corpora import asterisk, fillets, tuxpaint
from speechtransfer.corpora.contract import Packaged


@dataclass(frozen=True)
class Sample:
    """A corpus of one format.

    Attributes:
        format: the importer's name.
        build: writes it into a folder.
        given: how many utterances (and files that might be some) the folder holds, by another program or a plain count.
        data: what is loaded; ``{}`` stands for the folder.
        place: where the folder lies; of packages, as if they had been fetched into the cache.
    """

    format: str
    build: Callable[[Path], None]
    given: Callable[[Path], int]
    data: str = "{}"
    place: str = "corpus"


def _packaged(
    corpora: dict[str, Packaged], name: str, build: Callable[[Path], None], given: Callable[[Path], int]
) -> Sample:
    return Sample("debian", build, given, f"debian:{name}", f"cache/debian/{'+'.join(corpora[name].packages)}")


_PAIR = "xx_recordings_dev.jsonl", "xx_supervisions_dev.jsonl"
SAMPLES: dict[str, Sample] = {
    "manifest": Sample("manifest", laid_out.manifest, laid_out.manifest_rows),
    "table-csv": Sample("table", laid_out.metadata(","), laid_out.metadata_rows),
    "table-tsv": Sample("table", laid_out.metadata("\t"), laid_out.metadata_rows),
    "commonvoice": Sample("commonvoice", laid_out.common_voice, laid_out.common_voice_clips),
    "mswc": Sample("mswc", laid_out.mswc, laid_out.mswc_rows),
    "list-ljspeech": Sample("list", laid_out.lj_speech, laid_out.list_lines),
    "list-numbered": Sample("list", laid_out.numbered, laid_out.list_lines),
    "classes": Sample("classes", laid_out.class_folders, laid_out.every_file),
    "speechcommands": Sample("speechcommands", laid_out.speech_commands, laid_out.speech_commands_files),
    "sidecar": Sample("sidecar", laid_out.beside, laid_out.beside_stems),
    "subtitles": Sample("subtitles", laid_out.subtitles, laid_out.subtitles_shown),
    "kaldi": Sample("kaldi", exported.kaldi, exported.kaldi_utterances),
    "kaldi-splits": Sample("kaldi", exported.kaldi_splits, exported.kaldi_utterances),
    "elan": Sample("elan", exported.elan, exported.elan_annotations, "{}#type=utterance"),
    "praat": Sample("praat", exported.praat, exported.praat_intervals, "{}#tier=Sätze"),
    "lhotse-cuts": Sample("lhotse", exported.lhotse("libri_cuts_train.jsonl"), exported.lhotse_supervisions),
    "lhotse-pair-gz": Sample("lhotse", exported.lhotse(*_PAIR, packed=True), exported.lhotse_supervisions),
    "hub-saved": Sample("hub", exported.hub("saved"), exported.hub_rows),
    "hub-parquet": Sample("hub", exported.hub("parquet"), exported.hub_rows),
    "debian-asterisk": _packaged(asterisk.CORPORA, "asterisk-ru", exported.asterisk_voice, exported.asterisk_keys),
    "debian-tuxpaint": _packaged(tuxpaint.CORPORA, "tuxpaint-ru", exported.stamps, exported.stamps_lines),
    "debian-fillets": _packaged(fillets.CORPORA, "fillets-cs", exported.dialogues, exported.dialogues_lines),
}


def written(name: str, home: Path) -> tuple[Path, str]:
    """Write a sample into a folder; where it lies, and what ``load`` takes it by."""
    sample = SAMPLES[name]
    folder = home / sample.place
    folder.mkdir(parents=True)
    sample.build(folder)
    return folder, sample.data.format(folder)
