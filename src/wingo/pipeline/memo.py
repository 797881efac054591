"""What the last build of a request was made of and became, so that the next one can see that nothing changed.

The memo says nothing that is not checked again: the programs' digests, what every base's tag stands for, the state of
every copied file. It is one small JSON record of the cache.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from wingo.check.finding import Finding
from wingo.golang.fingerprint import DirectoryState, FileState, Glance, Kind, Record, Role, Watch, compare, observe
from wingo.oci.wire import decoder
from wingo.pipeline.report import ProgramReport
from wingo.pipeline.system_data import system_data_stamp
from wingo.version import VERSION

if TYPE_CHECKING:
    from wingo.pipeline.content import CopyRequest
    from wingo.pipeline.request import BuildRequest
    from wingo.stores.cache import Cache

_KIND = "build"
_NOT_IN_KEY = ("name", "push", "output", "thin", "metadata_file", "jobs", "offline", "insecure", "ca_file")
"""Settings that say where the result goes or how to work, not what it is."""


class Memo(msgspec.Struct, frozen=True):
    """One build.

    Attributes:
        programs: the digests of the compiled programs, in the order of the requests; of a Dockerfile's build, the one key of
            everything that decided it but files and bases (`memo_key`).
        bases: what each base's place stood for.
        files: the copied files.
        directories: the copied directories.
        results: what became of it, without where it was sent.
        notes: what to say again.
        findings: what the checks found that is no error.
        checked_through: the last day on which that holds, since waivers end; None: for good.
    """

    programs: tuple[str, ...]
    bases: dict[str, str]
    files: tuple[FileState, ...]
    directories: tuple[DirectoryState, ...]
    results: tuple[ProgramReport, ...]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    checked_through: dt.date | None = None


def memo_key(request: BuildRequest, *more: object) -> str:
    """Names the memo of a request: everything that decides the result but the sources, the bases and the copied files.

    Args:
        request: what is built.
        more: what else decides, as values that can be JSON.
    """
    settings = {
        name: getattr(request.settings, name) for name in request.settings.__struct_fields__ if name not in _NOT_IN_KEY
    }
    parts = (VERSION, system_data_stamp(), request.targets, request.directory, request.epoch, settings, *more)
    return sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def read_memo(cache: Cache, key: str) -> Memo | None:
    """The memo, None when there is none that this version of wingo understands."""
    data = cache.record(_KIND, key)
    if data is None:
        return None
    try:
        return decoder(Memo).decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def keep_memo(cache: Cache, key: str, memo: Memo) -> None:
    """Keeps the memo in place of the last one.

    Raises:
        HostError: it cannot be written.
    """
    cache.keep_record(_KIND, key, msgspec.json.encode(memo))


def content_unchanged(memo: Memo) -> bool:
    """Whether every copied file and directory is as it was."""
    record = Record(binaries=(), files=memo.files, directories=memo.directories)
    return not compare(record, Glance()).reason


def watch_of(requests: Sequence[CopyRequest], candidates: Sequence[str], files: Sequence[str] = ()) -> Watch:
    """What to look at to see whether copied content changed.

    Args:
        requests: what is copied.
        candidates: directories that would be copied if they were there (`wingodata/`).
        files: others that decide what is built.
    """
    watched: dict[str, Role] = dict.fromkeys(files, Role.DATA)
    directories: dict[str, Kind] = dict.fromkeys(candidates, Kind.ALL)
    for request in requests:
        if not os.path.isdir(request.source):
            watched[request.source] = Role.DATA
            continue
        for folder, _, names in os.walk(request.source):
            directories[folder] = Kind.ALL
            watched.update({os.path.join(folder, name): Role.DATA for name in names})
    return Watch(tuple(watched.items()), tuple(directories.items()))


class Beginning(msgspec.Struct, frozen=True):
    """When a build began, by the clock of the file system that the cache is on, and what was there then."""

    moment: os.stat_result
    before: Glance


def begin(cache: Cache) -> Beginning:
    """Marks the beginning of a build: content that changes after it makes the next build look again.

    Raises:
        HostError: the cache cannot be written.
    """
    cache.keep_record(_KIND, "began", os.urandom(8))
    return Beginning(os.stat(os.path.join(cache.root, "records", _KIND, "began")), Glance())


def observed(
    watch: Watch, beginning: Beginning, read: Mapping[str, str] | None = None
) -> tuple[tuple[FileState, ...], tuple[DirectoryState, ...]] | None:
    """The state of what is watched; None when something may have changed since the beginning.

    Args:
        watch: what to look at.
        beginning: of the build.
        read: the sha256, in hexadecimal, of files that were read since then.
    """
    seen = observe(watch, beginning.moment, beginning.before, read=read)
    return None if seen.unsettled else (seen.files, seen.directories)
