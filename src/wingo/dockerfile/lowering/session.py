r"""One step while it is lowered: what both shells and every program do to files, registry and variables goes through here.

A method does what Windows does, or raises `CommandFailed` where the command would fail there (the shell decides what then),
or `CannotLower` where nobody can know without Windows.
"""

from collections.abc import Iterable, Sequence

import msgspec

from wingo.dockerfile.lowering.edits import (
    ChangeRegistry,
    Download,
    Operation,
    SetVariable,
    has_hole,
    shown,
)
from wingo.dockerfile.lowering.files import FileStep
from wingo.dockerfile.lowering.outcome import Answer, CannotLower, CommandFailed, UnpackedFile, Waiting
from wingo.dockerfile.lowering.registry import USER, USER_ENVIRONMENT
from wingo.dockerfile.lowering.state import State, registry_variables
from wingo.dockerfile.lowering.tree import Item, Kind
from wingo.errors import Malformed, RequestError
from wingo.hive.edit import DeleteValue, SetValue
from wingo.hive.edit import Edit as HiveEdit
from wingo.hive.upcase import upcase
from wingo.hive.values import EXPAND_SZ, SZ, encode_text
from wingo.windows.paths import Components, path_text
from wingo.windows.registry_commands import ENVIRONMENT


class Session(FileStep):
    """A step with its files, registry and variables, and what others do for it."""

    def __init__(self, state: State, answers: Sequence[Answer] = ()) -> None:
        super().__init__(state, answers)
        if USER in state.registry.assumed and not state.sets_path:
            self.variables.late_path = self._user_path

    def change_registry(self, *changes: HiveEdit, quiet: bool = False) -> None:
        """Changes keys and values.

        Raises:
            CommandFailed: the account may not, or a change cannot be.
        """
        for change in changes:
            if upcase(change.path).startswith(("HKCU", "HKEY_CURRENT_USER")):
                self.read_user_hive()
            if not self.start.is_administrator and not upcase(change.path).startswith(("HKCU", "HKEY_CURRENT_USER")):
                raise CommandFailed(f"{self.start.account} may not change {change.path}: access is denied", 5)
        try:
            self.registry = self.registry.with_changes(changes)
        except RequestError as error:
            raise CommandFailed(str(error)) from error
        if not quiet:
            for change in changes:
                self.add(ChangeRegistry(change))

    def read_user_hive(self) -> None:
        """While building: the account's hive, out of its profile or the one that profiles are made of."""
        from wingo.dockerfile.lowering.layers import read_user_hive

        if self.planning or USER not in self.registry.assumed:
            return
        self.tree.base.load()
        try:
            root = read_user_hive(self.tree, self.start.account)
        except Malformed as error:
            self.note(f"the hive of {self.start.account} is left alone: {error}")
            return
        if root is not None:
            self.registry = self.registry.with_user(root)

    def _user_path(self) -> str:
        """What the account's own hive adds to PATH."""
        self.read_user_hive()
        found = registry_variables(self.registry, machine=False)
        return next((value for name, value in found.items() if upcase(name) == "PATH"), "")

    def set_variable(self, name: str, value: str | None, *, machine: bool, expand: bool = False) -> None:
        """Sets a variable of the machine or the account in the registry; the process's own stays as it is.

        Raises:
            CommandFailed: the account may not.
        """
        path = ENVIRONMENT if machine else USER_ENVIRONMENT
        if not name or "=" in name or "\0" in name + (value or ""):
            raise CommandFailed(f"{shown(name)!r} cannot be the name of a variable", 87)
        if value is None:
            self.change_registry(DeleteValue(path, name), quiet=True)
        else:
            self.change_registry(SetValue(path, name, EXPAND_SZ if expand else SZ, encode_text(value)), quiet=True)
        self.add(SetVariable(name, value, "machine" if machine else "user", expand))
        if not machine:
            self.note(
                f"{name} is set for {self.start.account} alone, in the hive of its profile; "
                "for every account: setx /M or ENV"
            )

    # What others do

    def perform(self, operation: Operation) -> Answer | None:
        """Records an operation and takes its answer; None in a plan.

        Raises:
            Waiting: there is no answer yet.
        """
        self.add(operation)
        index = self._asked
        self._asked += 1
        if index < len(self._answers):
            return self._answers[index]
        if not self.planning:
            self.edits.pop()
            raise Waiting(operation)
        self.late = True
        return None

    def download(self, url: str, target: Components, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Fetches a file.

        Raises:
            CommandFailed: the server said no, or the file cannot be written.
            CannotLower: the address is not one of a server.
        """
        if not has_hole(url) and not upcase(url).startswith(("HTTP://", "HTTPS://", "FTP://")):
            raise CannotLower(f"{shown(url)[:200]!r} is no address that can be downloaded from")
        place, _ = self.target(target)
        answer = self.perform(Download(url, path_text(place), headers=headers))
        content = None
        if answer is not None:
            if answer.status or not answer.files:
                raise CommandFailed(
                    f"{url} could not be downloaded: {answer.output or 'no answer'}", answer.status or 1
                )
            content = answer.files[0].content
        self.write(place, content, quiet=True)

    def place_files(self, files: Iterable[UnpackedFile]) -> None:
        """Puts in place what a program left below `C:`."""
        for file in files:
            self.tick()
            path = self.path(file.path)
            if file.kind == "removed":
                if self.find(path, follow=False) is not None:
                    self.tree.remove(path)
            elif file.kind == "directory":
                self.tree.make_directories(path)
            elif file.kind == "link":
                self.tree.make_directories(path[:-1])
                self.tree.put(Item(self.spelt(path), Kind.LINK, target=file.target, link="symbolic"))
            else:
                self.tree.make_directories(path[:-1])
                self.write(path, file.content, quiet=True)

    def expect(self, hash_text: str, wanted: str) -> None:
        """Records that the step checks a download's digest, when a plan compares the one with the other."""
        found = self.hashes.get(upcase(hash_text))
        if found is None:
            return
        algorithm, index = found
        edit = self.edits[index] if 0 <= index < len(self.edits) else None
        if isinstance(edit, Download):
            self.edits[index] = msgspec.structs.replace(edit, expected=f"{algorithm.lower()}:{wanted.lower()}")

    def last_download_to(self, path: Components) -> int:
        """The place among the edits of the download that a file comes from; -1: none."""
        text = upcase(path_text(path))
        for index in range(len(self.edits) - 1, -1, -1):
            edit = self.edits[index]
            if isinstance(edit, Download) and upcase(edit.target) == text:
                return index
        return -1
