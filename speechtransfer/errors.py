"""The exceptions that a user of speechtransfer may want to catch.

Every message says what is wrong, where (file, row, key) and what to do about it.
The command line prints the message alone and exits with status 1.
"""

_LONGEST = 6000  # characters of a message: a damaged table may have one field of megabytes


class SpeechTransferError(Exception):
    """Base class: the data or the request is wrong, and the message says how to mend it."""

    def __str__(self) -> str:
        """The message; of one that is too long to be read, its beginning and its end."""
        text = super().__str__()
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 800]} [...] {text[-700:]}"


class AudioError(SpeechTransferError):
    """A sound file is missing, unreadable, truncated, empty or holds values that are not sound."""


class DataError(SpeechTransferError):
    """A manifest, a corpus folder, a transcript or a split cannot be used."""


class DivergedError(DataError):
    """A training's loss is no number any more: a damaged recording, or too high a rate."""


class TextError(SpeechTransferError):
    """A transcript breaks the text contract (digits, no known character, empty)."""


class SourceError(SpeechTransferError):
    """A pretrained encoder cannot be found, read, or matched to its architecture."""


class PlanError(SpeechTransferError):
    """A transfer's rules, graft or cut do not fit the encoder and the objective."""


class SettingsError(SpeechTransferError):
    """A recipe, a setting or a command asks for something that does not exist or cannot work."""


class ContaminationError(SpeechTransferError):
    """A test recording is among those that the source encoder was trained on."""
