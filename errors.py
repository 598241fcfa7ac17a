"""Every error that facebench raises on purpose, in one tree.

```
FacebenchError                   something facebench can explain; the command prints it and exits with 2
├── UsageError                   the call is wrong: an unknown name, a bad value, two options that exclude each other
├── InconclusiveError            the measurements available do not decide it; the command exits with 3
├── ContractError                a detector returned something that is not a valid result
├── UnavailableError             a package or model file is missing; `remedy` is the command that fetches it
├── DeviceError                  the device asked for cannot really be used
├── DataError                    the data set cannot be read as it stands
│   ├── MissingDataError         it is not where it was looked for
│   ├── AnnotationError          an annotation file contradicts itself or its format; names file and line
│   ├── DataFetchError           a file of a data set could not be fetched
│   │   └── TamperedDataError    the bytes are not the ones published, or not those fetched before
│   ├── TermsError               the terms of a data set were not accepted
│   └── ArchiveError             an archive is damaged, or would write where or how much it must not
├── VideoError                   a video file or camera cannot be read, or a video not be written
├── ModelStoreError              a model file could not be fetched
│   ├── HashMismatchError        the bytes are not the ones expected; both hashes are named
│   └── OfflineError             a download would be needed, and FACEBENCH_OFFLINE is set
├── ResultsError                 a results folder cannot be read or written
│   ├── SchemaVersionError       it was written by another version of the format
│   ├── DamagedJournalError      a line of a cell's journal is not what was written
│   └── RunLockedError           another process writes into it
└── WorkerError                  the child process that holds a detector failed
    ├── DetectorRaisedError      the detector raised an exception; the child lives on
    ├── WorkerDiedError          the child ended by itself: an abort, a segmentation fault, an exit
    ├── WorkerTimeoutError       no answer before the deadline; the child was killed
    ├── WorkerMemoryError        more resident memory than allowed; the child was killed
    └── WorkerMessageError       what the child sent is no message, or cannot be; the child was killed
```

Messages say what was got, what was expected, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FacebenchError(Exception):
    """Base of all errors that facebench raises on purpose."""


class UsageError(FacebenchError):
    """The call is wrong: an unknown name, a bad value, options that exclude each other."""


class InconclusiveError(FacebenchError):
    """What was measured does not decide it: the run is unfinished, or too noisy for what is asked."""


class ContractError(FacebenchError):
    """A detector returned something that is not a valid result."""


class UnavailableError(FacebenchError):
    """A package or model file is missing.

    `remedy` is the one command that fetches it, or an empty string where no single command does.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class DeviceError(FacebenchError):
    """The device asked for cannot really be used."""


class DataError(FacebenchError):
    """The data set cannot be read as it stands."""


class MissingDataError(DataError):
    """A data set is not where it was looked for."""


class AnnotationError(DataError):
    """An annotation file contradicts itself or its format."""


class DataFetchError(DataError):
    """A file of a data set could not be fetched."""


class TamperedDataError(DataFetchError):
    """The bytes are not the ones published, or not those fetched before."""


class TermsError(DataError):
    """The terms of a data set were not accepted."""


class ArchiveError(DataError):
    """An archive is damaged, or would write where or how much it must not."""


class VideoError(FacebenchError):
    """A video file or camera cannot be read, or a video cannot be written."""


class ModelStoreError(FacebenchError):
    """A model file could not be fetched."""


class HashMismatchError(ModelStoreError):
    """The bytes are not the ones expected."""


class OfflineError(ModelStoreError):
    """A download would be needed, and FACEBENCH_OFFLINE is set."""


class ResultsError(FacebenchError):
    """A results folder cannot be read or written."""


class SchemaVersionError(ResultsError):
    """The results were written by another version of the format."""


class DamagedJournalError(ResultsError):
    """A line of a cell's journal is not what was written."""


class RunLockedError(ResultsError):
    """Another process writes into the results folder."""


class WorkerError(FacebenchError):
    """The child process that holds a detector failed."""


class DetectorRaisedError(WorkerError):
    """The detector raised an exception; the child lives on."""


class WorkerDiedError(WorkerError):
    """The child ended by itself."""


class WorkerTimeoutError(WorkerError):
    """No answer came before the deadline; the child was killed."""


class WorkerMemoryError(WorkerError):
    """The child held more memory than allowed and was killed."""


class WorkerMessageError(WorkerError):
    """What the child sent is no message, or says what cannot be; it was killed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest known names, or with all of them where none is near.

    >>> did_you_mean("yunett", ["haar", "yunet"])
    'Did you mean yunet?'
    >>> did_you_mean("scale", ["cascade", "scale_factor"])
    'Did you mean scale_factor?'
    >>> did_you_mean("zzz", ["haar", "yunet"])
    'Known: haar, yunet.'
    """
    names = sorted(known)
    near = [known for known in names if len(name) > 2 and name.lower() in known]
    near = near or difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Known: {', '.join(names)}."
