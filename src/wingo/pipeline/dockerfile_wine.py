r"""`--run-windows=wine`: a Windows program of a RUN step, run by Wine over the stage's files and registry; what it changed.

The layers of the container are Wine's prefix, the base image's own files, and what the steps so far have made; the writable
layer and Wine's registry files, compared with what they were, are what the program did. Wine writes its registry when its
server ends, so a shell of this machine waits for that inside the container.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from wingo.archive.entry import Entry, EntryKind
from wingo.dockerfile.bases import BaseFacts
from wingo.dockerfile.lowering import Answer, Item, Kind, State, UnpackedFile
from wingo.dockerfile.lowering.edits import RunProgram
from wingo.dockerfile.lowering.state import registry_variables
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.errors import ContentError, Malformed, RequestError
from wingo.hive.edit import Edit, SetValue
from wingo.hive.upcase import upcase
from wingo.hive.values import EXPAND_SZ, Value, encode_text, text_of
from wingo.image.derive import ConfigPatch, derive
from wingo.launch.capture import capture
from wingo.launch.containers import remove_directory
from wingo.launch.rooted import open_in_root
from wingo.launch.rootfs import RootfsResult, RootfsRun, run_in_rootfs
from wingo.launch.spec import Mount, Network, RunSpec
from wingo.launch.wine.changes import MACHINE, USER, registry_changes, value_in
from wingo.launch.wine.drive import DRIVE, Names, account_of, image_path, lay_out, place_link
from wingo.launch.wine.finding import Wine, find_wine
from wingo.launch.wine.prefix import Owner, Prefix, give_to, prepared_prefix
from wingo.launch.wine.registry import WineRegistry
from wingo.launch.wine.translate import ending_of, exit_of, show_code, translate
from wingo.oci.platform import Platform
from wingo.pipeline.dockerfile_sandbox import step_directory
from wingo.pipeline.run_windows import laid_out_drive
from wingo.view.merged import make_view
from wingo.windows.paths import parse_path
from wingo.windows.registry_commands import ENVIRONMENT

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.image.model import Image
    from wingo.pipeline.places import Places
    from wingo.view.merged import View

T = TypeVar("T")
DEFAULT_SECONDS = 1800.0
"""A program that waits for somebody to click never ends."""
_TAIL = 64 << 10
_SHELL = "/wingo/sh"
_CHUNK = 1 << 18
_MAX_REGISTRY = 256 << 20
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_THEN_SAVE = '"$@"; status=$?; "$WINESERVER" --kill; "$WINESERVER" --wait; exit $status'
_OF_HIVES = {"SYSTEM": "System", "SOFTWARE": "Software", "SAM": "SAM", "SECURITY": "Security"}


class WineRunner:
    """Runs the Windows programs of a build."""

    def __init__(self, host: Host, places: Places, *, allow_network: bool, seconds: float) -> None:
        self._host, self._places = host, places
        self._network = Network.HOST if allow_network else Network.NONE
        self._seconds = seconds or DEFAULT_SECONDS
        self._found: Wine | None = None

    @property
    def wine(self) -> Wine:
        """This machine's.

        Raises:
            NoWine: it has none.
        """
        if self._found is None:
            self._found = find_wine(self._host.machine.environment, self._host.runner)
        return self._found

    def run(
        self,
        operation: RunProgram,
        state: State,
        base: Image | None,
        facts: BaseFacts,
        at: At,
        take: Callable[[Answer], T],
    ) -> T:
        """Runs a program to its end.

        Args:
            operation: what.
            state: the stage's files and registry when it starts.
            base: the image below them; None for one that is not pulled.
            facts: of the base.
            at: for messages.
            take: is given what it printed, ended with and changed, as long as its files are there.

        Raises:
            DockerfileError: it takes too long, or does what no layer can hold.
            HostError: this machine lacks something.
        """
        machine, places = self._host.machine, self._places
        identity = machine.identity
        owner = self._owner
        folder = os.path.join(places.cache.root, "wine")
        prefix = prepared_prefix(self.wine, folder, self._host.runner, places.cache.lock, places.progress.note, owner)
        steps = os.path.join(self._host.cache_directory, "dockerfile", "steps")
        os.makedirs(steps, mode=0o700, exist_ok=True)
        with step_directory(steps) as directory, step_directory(steps) as below:
            try:
                os.mkdir(below, 0o755)
                account = self._lay_out(state, base, facts, prefix, below)
                for name, value in operation.environment:
                    if upcase(name) in ("TEMP", "TMP"):
                        _make_temporary(value, prefix, os.path.join(below, DRIVE))
                give_to(below, owner)
                spec = RunSpec(
                    name="build",
                    platform=Platform("windows", "amd64"),
                    argv=operation.argv,
                    env=tuple(f"{name}={value}" for name, value in _own_variables(operation)),
                    cwd=operation.directory,
                    user=state.user,
                )
                result, output = self._start(spec, operation, prefix, account, below, directory, at)
                ended = exit_of(spec, result.upper)
                if result.outcome.reason and (ended is None or ended.problem):
                    raise DockerfileError(at, f"{printable(operation.argv[0], 200)}: {result.outcome.reason}")
                if ended is None:
                    raise DockerfileError(at, f"{printable(operation.argv[0], 200)} was killed{_last_lines(output)}")
                entries = capture(
                    result.upper,
                    identity,
                    storage=result.storage,
                    lowers=(prefix.root, below),
                    made=result.made,
                )
                files = tuple(_captured(entries, (prefix.root, below)))
                if ended.code:
                    places.progress.note(f"{operation.argv[0]} ended with {show_code(ended.code)}")
                registry = tuple(_registry(below, result.upper, state, at))
                return take(Answer(files, _signed(ended.code), output, registry))
            except OSError as error:
                raise ContentError(
                    f"cannot run it over {error.filename or below}: {error.strerror or error}"
                ) from error
            finally:
                for path in (directory, below):
                    if os.path.isdir(path):
                        remove_directory(path, identity, machine.tools)

    @property
    def _owner(self) -> Owner:
        identity = self._host.machine.identity
        return (identity.uid_outside(0), identity.gid_outside(0)) if identity.way == "shifted" else None

    def _lay_out(self, state: State, base: Image | None, facts: BaseFacts, prefix: Prefix, target: str) -> str:
        """Writes the layer of the base's own files and of what the steps so far made; the account's name."""
        if base is not None:
            directory, drive, _ = laid_out_drive(base, state.user, prefix, self._owner, self._places, with_base=False)
            _link_tree(os.path.join(directory, "root"), target)
            account = drive.account
        else:
            account = account_of(state.user, facts.flavour)
            lay_out(_no_files(), prefix, account, target, base_layers=0)
        drive_c = os.path.join(target, DRIVE)
        names = Names([os.path.join(prefix.root, DRIVE), drive_c])
        made = [item for item in state.tree.changes.values() if item is not None and item.path]
        for item in sorted(made, key=lambda one: one.path):
            _place(item, state, names, drive_c)
        for key, gone in state.tree.changes.items():
            if gone is None:
                _remove(os.path.join(drive_c, *names.real(key)))
        _write_registries(state, os.path.join(target, "prefix"))
        return account

    def _start(
        self, spec: RunSpec, operation: RunProgram, prefix: Prefix, account: str, below: str, directory: str, at: At
    ) -> tuple[RootfsResult, str]:
        names = Names([os.path.join(prefix.root, DRIVE), os.path.join(below, DRIVE)])
        try:
            planned = translate(spec, self.wine, names, account)
        except RequestError as error:
            raise DockerfileError(at, str(error), hint=error.hint) from error
        output = bytearray()
        run = RootfsRun(
            argv=(_SHELL, "-c", _THEN_SAVE, "sh", *planned.argv),
            lowers=(prefix.root, below),
            directory=directory,
            env=planned.env,
            cwd=planned.cwd,
            mounts=(*planned.mounts, Mount(_SHELL, os.path.realpath("/bin/sh"), read_only=True)),
            network=self._network,
            timeout=self._seconds,
            input=operation.input.encode(),
        )

        def hear(_stream: str, data: bytes) -> None:
            output.extend(data)
            for line in data.decode("utf-8", "replace").splitlines():
                if line.strip():
                    self._host.console.say(f"  {printable(line.rstrip(), 400)}")
            del output[:-_TAIL]

        result = run_in_rootfs(
            run, self._host.machine, now=self._host.now, on_output=hear, ending=partial(ending_of, spec)
        )
        return result, output.decode("utf-8", "replace")


def _own_variables(operation: RunProgram) -> Iterator[tuple[str, str]]:
    """Without those that Wine sets by itself, and by other names."""
    for name, value in operation.environment:
        if name.upper() not in ("USERNAME", "HOME", "USER", "LC_ALL") and not name.upper().startswith("WINE"):
            yield name, value


def _no_files() -> View:
    """The view of a base that is not pulled."""
    return make_view(derive(None, [], ConfigPatch(os="windows", architecture="amd64")), [])


def _link_tree(source: str, target: str) -> None:
    """A directory whose files are those of another one: nothing writes into them."""
    for folder, folders, files in os.walk(source):
        below = os.path.relpath(folder, source)
        for name in folders:
            path = os.path.join(folder, name)
            new = os.path.join(target, below, name)
            if os.path.islink(path):
                os.symlink(os.readlink(path), new)
            else:
                os.mkdir(new, 0o755)
        for name in files:
            os.link(os.path.join(folder, name), os.path.join(target, below, name), follow_symlinks=False)


def _place(item: Item, state: State, names: Names, drive: str) -> None:
    """Puts on the drive what a step made."""
    real = names.real(item.path)
    path = os.path.join(drive, *real)
    if item.in_base or item.kind is Kind.UNKNOWN:
        return
    if item.kind is Kind.DIRECTORY:
        os.makedirs(path, exist_ok=True)
    else:
        _remove(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        content = item.content
        if item.link == "hard" and content is None:
            other = state.tree.find(parse_path(item.target))
            content = other.content if other is not None else None
        if item.kind is Kind.LINK and item.link != "hard":
            place_link(item.target, names, real, path)
        elif content is not None:
            with content.open() as stream, open(path, "xb") as file:
                shutil.copyfileobj(stream, file, _CHUNK)
            os.chmod(path, 0o755)  # noqa: S103  (Windows has no such bit: any file may be executed)
    names.add(real)


def _make_temporary(path: str, prefix: Prefix, drive: str) -> None:
    """The directory for temporary files: Windows makes it at logon, and much fails without."""
    try:
        parts = parse_path(path)
    except RequestError:
        return
    real = Names([os.path.join(prefix.root, DRIVE), drive]).real(parts)
    os.makedirs(os.path.join(drive, *real), exist_ok=True)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


# The registry


def _write_registries(state: State, folder: str) -> None:
    """Lays the registry changes of the steps so far into Wine's files."""
    registries: dict[str, WineRegistry] = {}
    for change in state.registry.changes:
        root, *rest = change.path.split("\\")
        name = "user.reg" if root == USER else "system.reg"
        if root not in (USER, MACHINE) or (root == MACHINE and upcase(rest[0]) not in _OF_HIVES):
            continue
        if name not in registries:
            with open(os.path.join(folder, name), encoding="latin-1") as file:
                registries[name] = WineRegistry(file.read())
        if root == MACHINE:
            rest[0] = _OF_HIVES[upcase(rest[0])]
            own = registries[name].has("System", "ControlSet001")
            if rest[0] == "System" and not own and upcase("\\".join(rest[1:2])) == "CONTROLSET001":
                rest[1] = "CurrentControlSet"
        registries[name].change(change, tuple(rest))
    for name, registry in registries.items():
        path = os.path.join(folder, name)
        os.unlink(path)  # the cached drive has the same file
        with open(path, "x", encoding="latin-1") as file:
            file.write(registry.text())


def _registry(below: str, upper: str, state: State, at: At) -> Iterator[Edit]:
    """What was changed in the registry."""
    for name, root in (("system.reg", MACHINE), ("user.reg", USER)):
        after = _written(upper, f"prefix/{name}", at)
        if after is None:
            continue
        with open(os.path.join(below, "prefix", name), encoding="latin-1") as file:
            before = file.read()
        try:
            for edit in registry_changes(before, after, root):
                if _is_wines_alone(edit):
                    continue
                yield _with_own_path(edit, before, state)
        except Malformed as error:
            raise DockerfileError(at, f"the registry that the program left cannot be read: {error}") from error


def _is_wines_alone(edit: Edit) -> bool:
    hive = upcase(edit.path).split("\\")[1:2]
    return upcase(edit.path).startswith(MACHINE) and hive not in (["SYSTEM"], ["SOFTWARE"])


def _with_own_path(edit: Edit, before: str, state: State) -> Edit:
    """PATH as the image has it, with what the program added to Wine's."""
    if not isinstance(edit, SetValue) or upcase(edit.name) != "PATH":
        return edit
    key = upcase(edit.path).removeprefix(MACHINE + "\\")
    if key != upcase(ENVIRONMENT).partition("\\")[2]:
        return edit
    had = text_of(value_in(before, tuple(key.split("\\")), edit.name)) or ""
    known = {upcase(word.rstrip("\\")) for word in had.split(";")}
    text = text_of(Value(edit.name, edit.type, edit.data)) or ""
    new = [word for word in text.split(";") if word and upcase(word.rstrip("\\")) not in known]
    own = next(
        (value for name, value in registry_variables(state.registry, machine=True).items() if upcase(name) == "PATH"),
        "",
    )
    joined = ";".join([*([own.rstrip(";")] if own else []), *new])
    return msgspec.structs.replace(edit, type=EXPAND_SZ, data=encode_text(joined))


def _written(upper: str, path: str, at: At) -> str | None:
    """A file of Wine's in the writable layer; what is there is the program's, so no link is followed."""
    root = os.open(upper, os.O_PATH | os.O_DIRECTORY)
    try:
        descriptor = open_in_root(root, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    finally:
        os.close(root)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or os.fstat(descriptor).st_size > _MAX_REGISTRY:
            raise DockerfileError(at, f"{path} is no registry of Wine's any more")
        return file.read(_MAX_REGISTRY).decode("latin-1")


# Files


def _captured(entries: Sequence[Entry], lowers: Sequence[str]) -> Iterator[UnpackedFile]:
    r"""What a writable layer has on drive C:, as it is on Windows."""
    own = {entry.name: entry for entry in entries if entry.name.startswith(f"{DRIVE}/")}
    for name, entry in own.items():
        path = name[len(DRIVE) + 1 :]
        above, _, last = path.rpartition("/")
        if last == _OPAQUE:
            below = {child for lower in lowers for child in _listed(os.path.join(lower, DRIVE, above))}
            yield from (
                UnpackedFile(_text(f"{above}/{child}"), kind="removed")
                for child in sorted(below)
                if f"{DRIVE}/{above}/{child}" not in own
            )
        elif last.startswith(_WHITEOUT):
            yield UnpackedFile(_text(f"{above}/{last[len(_WHITEOUT) :]}".lstrip("/")), kind="removed")
        elif entry.kind is EntryKind.DIRECTORY:
            if not any(os.path.isdir(os.path.join(lower, name)) for lower in lowers):
                yield UnpackedFile(_text(path), kind="directory")
        elif entry.kind is EntryKind.SYMLINK:
            leads = posixpath.normpath(posixpath.join(above, entry.link_target))
            if not entry.link_target.startswith("/") and leads.split("/")[0] != "..":
                yield UnpackedFile(_text(path), kind="link", target=entry.link_target.replace("/", "\\"))
        else:
            whole = own.get(entry.link_target) if entry.kind is EntryKind.HARDLINK else entry
            if whole is not None and whole.content is not None:
                yield UnpackedFile(_text(path), whole.content)


def _listed(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _text(path: str) -> str:
    return "C:\\" + image_path(path.split("/")).replace("/", "\\")


def _signed(code: int) -> int:
    return code - (1 << 32) if code >> 31 else code


def _last_lines(output: str) -> str:
    return "".join(f"\n    {printable(line, 400)}" for line in output.strip().splitlines()[-20:])
