"""Every error that the library raises: one class per cause, whose docstring is its meaning.

The message of an error is one line for the person at the terminal: what is wrong, and what to
try next where there is something to try. The library never prints; the CLI prints the message.
"""


class TaggerError(Exception):
    """The base of all errors that tagger raises on purpose."""


class AudioError(TaggerError):
    """A file could not be heard; the message is the reason, without the file's name."""


class BundleError(TaggerError):
    """A model bundle is missing, incomplete, altered, or of a kind that is not known."""


class DatasetError(TaggerError):
    """Training or evaluation data is missing, of the wrong shape, or has nothing readable."""


class DatabaseError(TaggerError):
    """The results database can't be opened, read or written."""


class EngineError(TaggerError):
    """The processes that do the work can't be started."""


class MissingExtraError(TaggerError):
    """A command needs an optional part of the installation."""


class NothingToDoError(TaggerError):
    """The given paths hold nothing that the command could work on."""


class OptionError(TaggerError):
    """An option's value, or the file that it names, makes no sense."""


class StorageError(TaggerError):
    """Object storage can't be reached, refuses access, or does not have what was named."""


class TagError(TaggerError):
    """A file's tags could not be read or changed; the file is as it was."""
