"""catalog.toml -> a verified local folder: downloaded or taken from a file that is here, checked, unpacked, recorded.

Beside the data stands `.facebench/record.json`: when their terms were accepted, and of each archive what was fetched,
from where, when, with which sha256; and `.facebench/<folder>.sha256`, a list that `sha256sum -c` reads too.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import shutil
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...downloads import (
    NotFetchedError,
    Progress,
    Sleep,
    UrlSource,
    fetch_file,
    is_offline,
    locked,
    no_progress,
    sha256_of,
)
from ...errors import DataError, DataFetchError, TamperedDataError, TermsError, UsageError, did_you_mean
from .unpacking import is_archive, unpack

CATALOG = Path(__file__).with_name("catalog.toml")
LOCK_TIMEOUT_S = 3600.0
_HASHES = ("sha256", "sha1", "md5")
_RECORDS = ".facebench"


@dataclass(frozen=True, slots=True)
class DataFile:
    """An archive as catalog.toml describes it.

    Attributes:
        name: its file name.
        folder: the folder that it becomes.
        sources: addresses, the preferred one first.
        hashes: algorithm -> hexadecimal digits, as far as they are published.
        bytes: its size; None where that is not published.
        evidence: who published size and hashes.
        most_bytes: how much it may hold unpacked.
    """

    name: str
    folder: str
    sources: tuple[str, ...]
    hashes: Mapping[str, str]
    bytes: int | None
    evidence: str
    most_bytes: int


@dataclass(frozen=True, slots=True)
class DataSetEntry:
    """A data set as catalog.toml describes it.

    Attributes:
        name: as `datasets.load` knows it.
        title: what it is.
        homepage: of its authors.
        terms: what one must agree to.
        below: its folder under the data root.
        files: its archives.
    """

    name: str
    title: str
    homepage: str
    terms: str
    below: str
    files: tuple[DataFile, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all archives whose size is published."""
        return sum(file.bytes or 0 for file in self.files)


@functools.cache
def catalog(path: Path = CATALOG) -> Mapping[str, DataSetEntry]:
    """Return the data sets of a catalogue by name; it is read once."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    files = {name: _file(name, table) for name, table in tables["files"].items()}
    sets = {
        name: DataSetEntry(name=name, **table | {"files": tuple(files[one] for one in table["files"])})
        for name, table in tables["sets"].items()
    }
    return MappingProxyType(sets)


def _file(name: str, table: Mapping[str, Any]) -> DataFile:
    return DataFile(
        name=name,
        folder=table["folder"],
        sources=tuple(table["sources"]),
        hashes=MappingProxyType({one: table[one] for one in _HASHES if one in table}),
        bytes=table.get("bytes"),
        evidence=table.get("evidence", ""),
        most_bytes=table["most_bytes"],
    )


def entry(name: str) -> DataSetEntry:
    """Return the data set of this name.

    Raises:
        UsageError: none of this name can be fetched.
    """
    if name not in catalog():
        raise UsageError(f"No data set {name!r} can be fetched. {did_you_mean(name, catalog())}")
    return catalog()[name]


def home_of(data_set: DataSetEntry, root: Path) -> Path:
    """Return the folder of a data set: the root itself where part of it lies there, else `below` in it."""
    return root if any((root / file.folder).is_dir() for file in data_set.files) else root / data_set.below


def is_here(data_set: DataSetEntry, root: Path) -> bool:
    """Tell whether all folders of a data set are under a data root."""
    return all((home_of(data_set, root) / file.folder).is_dir() for file in data_set.files)


def fetch(
    data_set: DataSetEntry,
    root: Path,
    *,
    agrees: Callable[[DataSetEntry], bool],
    at_hand: Path | None = None,
    keep: bool = False,
    progress: Callable[[str], Progress] = lambda name: no_progress,
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    sleep: Sleep = time.sleep,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> Path:
    """Return the folder of a data set, and fetch first what is missing of it.

    Args:
        data_set: what to fetch.
        root: the data root; the folder `below` is made in it, unless part of the data lies in the root itself.
        agrees: asked whether the terms are accepted, unless that is on record.
        at_hand: an archive that the user has, or a folder of them, which is looked through before any download.
        keep: keep downloaded archives, which are deleted else.
        progress: name of an archive -> what is called with its bytes.
        now: the time, for the record.
        sleep: waits between attempts at a download.
        lock_timeout_s: how long to wait for another process that fetches the same data.

    Raises:
        TermsError: the terms are not accepted.
        DataFetchError: an archive cannot be had, or the folder not be written.
        TamperedDataError: other bytes were sent, or lie here, than those published or recorded.
        ArchiveError: an archive must not be unpacked.
    """
    home = home_of(data_set, root)
    try:
        (home / _RECORDS).mkdir(parents=True, exist_ok=True)
        with locked(home / _RECORDS / "data", lock_timeout_s):
            record = _Record.read(home)
            if not record.has_accepted(data_set):
                if not agrees(data_set):
                    raise TermsError(
                        f"The terms of {data_set.name} were not accepted: {data_set.terms} See {data_set.homepage}; "
                        "--accept-terms accepts them."
                    )
                record.accept(data_set, now())
            for left in home.glob(".*.unpacking"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            for file in data_set.files:
                if not (home / file.folder).is_dir():
                    _fetch(file, home, record, at_hand, keep, progress(file.name), now, sleep)
    except TimeoutError as error:
        raise DataFetchError(str(error)) from error
    except OSError as error:
        raise DataFetchError(
            f"Got {error} in {home}. Make room, or name a folder that can be written by --data."
        ) from error
    return home


@dataclass(slots=True)
class _Record:
    """What is known of one folder of data."""

    path: Path
    content: dict[str, Any]

    @classmethod
    def read(cls, home: Path) -> _Record:
        path = home / _RECORDS / "record.json"
        if not path.exists():
            return cls(path, {"schema": 1, "terms": {}, "files": {}})
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if (
                content["schema"] != 1
                or not isinstance(content["files"], dict)
                or not isinstance(content["terms"], dict)
            ):
                raise DataError(f"Got another version of the record {path}, expected schema 1; move it away.")
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"Got {error!r} in the record {path}; move it away to fetch the data again.") from error
        return cls(path, content)

    def has_accepted(self, data_set: DataSetEntry) -> bool:
        return _terms_hash(data_set) in self.content["terms"]

    def accept(self, data_set: DataSetEntry, now: datetime.datetime) -> None:
        accepted = {"of": data_set.name, "accepted": now.isoformat(timespec="seconds"), "terms": data_set.terms}
        self.content["terms"][_terms_hash(data_set)] = accepted
        self.write()

    def sha256(self, file: DataFile) -> str:
        return str(self.content["files"].get(file.name, {}).get("sha256", ""))

    def write(self) -> None:
        scratch = self.path.with_suffix(".part")
        with scratch.open("w", encoding="utf-8") as stream:
            json.dump(self.content, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(self.path)


def _fetch(
    file: DataFile,
    home: Path,
    record: _Record,
    at_hand: Path | None,
    keep: bool,
    progress: Progress,
    now: Callable[[], datetime.datetime],
    sleep: Sleep,
) -> None:
    """Have one archive, check it, unpack it, record it."""

    def check(path: Path) -> str:
        fault = fault_of(path, file, record.sha256(file))
        return fault and f"sent {fault}"

    archive, where = home / _RECORDS / file.name, ""
    found = _at_hand(at_hand, file)
    if found is not None:
        if fault := fault_of(found, file, record.sha256(file)):
            raise TamperedDataError(
                f"{found} holds {fault}. Take it away, or have it again from {' or '.join(file.sources)}."
            )
        archive, where = found, str(found)
    elif archive.is_file() and not check(archive):
        where = str(record.content["files"].get(file.name, {}).get("from", "kept"))
    elif is_offline():
        raise DataFetchError(
            f"{file.name} is not here, and FACEBENCH_OFFLINE is set. Fetch it from {' or '.join(file.sources)}; then "
            "name it, or its folder, by --from."
        )
    else:
        sources = [UrlSource(url) for url in file.sources]
        try:
            where = str(fetch_file(archive, sources, check, file.bytes, progress=progress, sleep=sleep))
        except NotFetchedError as error:
            tried = "".join(f"\n- {failure}" for failure in error.failures)
            kind = TamperedDataError if error.mismatch else DataFetchError
            raise kind(
                f"{file.name} could not be fetched. Tried:{tried}\nIf you have it, name it or its folder by --from."
            ) from error
    sha256 = sha256_of(archive)
    hashes = unpack(archive, home / file.folder, file.most_bytes)
    manifest = "".join(f"{digest}  {file.folder}/{path}\n" for path, digest in hashes.items())
    (home / _RECORDS / f"{file.folder}.sha256").write_text(manifest, encoding="utf-8")
    record.content["files"][file.name] = {
        "bytes": archive.stat().st_size,
        "sha256": sha256,
        "from": where,
        "brought": now().isoformat(timespec="seconds"),
        "published_hashes": sorted(file.hashes),
    }
    record.write()
    if found is None and not keep:
        archive.unlink()


def fault_of(path: Path, file: DataFile, recorded: str = "") -> str:
    """Say what is wrong with an archive, such as "5 bytes, expected 7"; an empty string where nothing is.

    Args:
        path: the archive.
        file: what is published of it.
        recorded: its sha256 as it was fetched before, or an empty string.
    """
    size = path.stat().st_size
    if not is_archive(path):
        with path.open("rb") as stream:
            head = stream.read(512).lstrip().lower()
        page = " (a page of HTML: the address may ask for a login, or show a warning)" if head.startswith(b"<") else ""
        return f"{size:,} bytes that are not an archive{page}"
    if file.bytes is not None and size != file.bytes:
        return f"{size:,} bytes, expected {file.bytes:,}"
    for algorithm, expected in file.hashes.items():
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, algorithm).hexdigest()
        if digest != expected:
            return f"bytes with {algorithm} {digest}, expected {expected}"
    if recorded and (digest := sha256_of(path)) != recorded:
        return f"bytes with sha256 {digest}, expected {recorded}, as they were when first fetched"
    return ""


def _at_hand(place: Path | None, file: DataFile) -> Path | None:
    if place is None:
        return None
    if place.is_dir():
        return next((path for path in sorted(place.rglob(file.name)) if path.is_file()), None)
    if not place.is_file():
        raise UsageError(f"Got --from {place}, where nothing lies, expected an archive or a folder of archives.")
    return place if place.name == file.name else None


def changed_files(data_set: DataSetEntry, root: Path) -> tuple[list[tuple[str, str]], Sequence[str]]:
    """Hold every file of a fetched data set against its recorded sha256.

    Returns:
        The files that are missing or changed, each with what is wrong; and the folders that have no record, because
        somebody unpacked them.
    """
    home = home_of(data_set, root)
    faults, unrecorded = [], []
    for file in data_set.files:
        manifest = home / _RECORDS / f"{file.folder}.sha256"
        if not manifest.is_file():
            unrecorded.append(str(home / file.folder))
            continue
        for line in manifest.read_text(encoding="utf-8").splitlines():
            digest, _, path = line.partition("  ")
            try:
                actual = sha256_of(home / path)
            except OSError as error:
                faults.append((str(home / path), f"cannot be read: {error.strerror or error}"))
                continue
            if actual != digest:
                faults.append((str(home / path), f"got sha256 {actual}, expected {digest}"))
    return faults, unrecorded


def _terms_hash(data_set: DataSetEntry) -> str:
    return hashlib.sha256(data_set.terms.encode()).hexdigest()
