r"""What a step does to files: paths as Win32 reads them, and copying, moving, removing, linking as its functions do.

A method does what Windows does, or raises `CommandFailed` where the command would fail there (the shell decides what then),
or `CannotLower` where nobody can know without Windows.
"""

import msgspec

from wingo.archive.entry import Content
from wingo.dockerfile.lowering.contents import content_of, read_content
from wingo.dockerfile.lowering.edits import (
    CopyPath,
    MakeDirectory,
    MakeLink,
    MovePath,
    RemovePath,
    WriteFile,
    has_hole,
    shown,
)
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import compile_pattern, is_pattern
from wingo.dockerfile.lowering.step import MAX_TEXT, Step
from wingo.dockerfile.lowering.tree import Item, Kind
from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.windows.paths import Components, parse_path, path_text

_SHORT = 200


class FileStep(Step):
    """A step and what it does to files."""

    def path(self, text: str, directory: Components | None = None) -> Components:
        r"""A path as a process reads it: relative to its directory, with `..`, on drive C:.

        Raises:
            CannotLower: it is on another drive or the network, or a name that no file can have.
            CommandFailed: it is empty.
        """
        plain = text.strip().rstrip("\0")
        if len(plain) >= 2 and plain[0] == plain[-1] == '"':
            plain = plain[1:-1]
        if not plain:
            raise CommandFailed("the path is empty")
        plain = plain.removeprefix("\\\\?\\").replace("/", "\\")
        here = self.directory if directory is None else directory
        if plain[1:2] == ":":
            if plain[0] not in "cC":
                raise CannotLower(
                    f"{shown(text)!r}: an image has no drive {plain[0].upper()}:", "Use a path on drive C:."
                )
            plain = plain[2:]
            if plain[:1] == "\\":
                here = ()
        elif plain[:1] == "\\":
            if plain[:2] == "\\\\":
                raise CannotLower(f"{shown(text)!r} is on the network", "Copy the file into the build context.")
            here = ()
        parts = list(here)
        for part in plain.split("\\"):
            if part in ("", "."):
                continue
            if part == "..":
                if parts:
                    parts.pop()
                continue
            # Win32 drops dots and spaces at the end of a name.
            part = part.rstrip(". ") or part  # noqa: PLW2901  (the name is what Win32 makes of it)
            parts.append(part)
        if any(has_hole(part) for part in parts):
            return tuple(parts)
        try:
            return parse_path("\\" + "\\".join(parts)) if parts else ()
        except RequestError as error:
            if any(character in text for character in '*?<>|"'):
                raise CommandFailed(f"{text!r} is not a path: {error}", 123) from error
            raise CannotLower(str(error), error.hint) from error

    def find(self, path: Components, *, follow: bool = True) -> Item | None:
        """What is at a path; see `Tree.find`. While building nothing is unknown but what the base's reader left out.

        Raises:
            CannotLower: it is not known, and this is no plan.
        """
        if any(has_hole(part) for part in path):
            self.late = True
            return Item(path, Kind.UNKNOWN)
        item = self.tree.find(path, follow=follow)
        if item is not None and item.unknown and not self.planning and self.tree.base.load():
            item = self.tree.find(path, follow=follow)
        if item is not None and item.unknown:
            if self.planning:
                self.late = True
            elif self.start.toolchain:
                # The toolchain's image is not read: nobody ships it, and what a step makes there is known.
                return None
            else:
                raise CannotLower(
                    f"whether {path_text(path)} is there is not known without the base's files",
                    "Let wingo read the base's layers.",
                )
        return item

    def is_directory(self, path: Components) -> bool:
        """Whether there is a directory, or may be one."""
        item = self.find(path)
        return item is not None and item.kind in (Kind.DIRECTORY, Kind.UNKNOWN)

    def is_known_directory(self, path: Components) -> bool:
        """Whether there is a directory for sure."""
        item = self.tree.find(path)
        return item is not None and item.is_directory

    def spelt(self, path: Components) -> Components:
        """A path as its directories are spelt; the last component's link stays."""
        if any(has_hole(part) for part in path):
            return path
        return self.tree.resolve(path, follow=False)

    def glob(
        self, pattern: str, directory: Components | None = None, *, brackets: bool = True
    ) -> tuple[list[Item], bool]:
        r"""What a pattern names; any component may have `*` and `?` (and `[a-z]`, as in PowerShell).

        Returns:
            The items by path, and whether there may be others.
        """
        plain = pattern.strip().replace("/", "\\")
        here = self.directory if directory is None else directory
        if plain.startswith("\\\\"):
            here, plain = self.path(plain), ""
        if plain[1:2] == ":" or plain[:1] == "\\":
            here = self.path(plain[:3] if plain[1:2] == ":" else "\\")
            plain = plain[3:] if plain[1:2] == ":" else plain[1:]
        found: list[Components] = [here]
        late = False
        parts = [part for part in plain.split("\\") if part not in ("", ".")]
        for index, part in enumerate(parts):
            next_found: list[Components] = []
            for place in found:
                self.tick()
                if part == "..":
                    next_found.append(place[:-1])
                    continue
                if not is_pattern(part, brackets=brackets):
                    item = self.find((*place, part))
                    if item is not None:
                        next_found.append(item.path if index < len(parts) - 1 else self.spelt((*place, part)))
                    continue
                children, vague = self.children(place)
                late = late or vague
                matcher = compile_pattern(part, brackets=brackets)
                next_found += [item.path for item in children if matcher.match(item.path[-1])]
            found = next_found
        items = [item for place in found if (item := self.find(place, follow=False)) is not None]
        return items, late

    def children(self, path: Components) -> tuple[list[Item], bool]:
        """What is in a directory, and whether there may be more."""
        place = self.tree.resolve(path)
        if not self.planning and self.tree.is_vague(place) and self.tree.base.load():
            place = self.tree.resolve(path)
        children = self.tree.children(place)
        self.tick(len(children) // 16 + 1)
        vague = self.tree.is_vague(place) or any(has_hole(part) for part in path)
        if vague:
            if not self.planning and not self.start.toolchain:
                raise CannotLower(f"what is in {path_text(path)} is not known without the base's files")
            self.late = self.late or self.planning
        return children, vague and self.planning

    # Files

    def make_directory(self, path: Components) -> None:
        """Makes a directory and those above it.

        Raises:
            CommandFailed: one of them is a file.
        """
        try:
            made = self.tree.make_directories(path)
        except CannotLower as error:
            raise CommandFailed(error.reason) from error
        if made:
            self.check_allowed(made[0], directory=True)
            self.add(MakeDirectory(path_text(made[-1])))

    def write(
        self, path: Components, data: bytes | Content | None, *, origin: str = "RUN", quiet: bool = False
    ) -> None:
        """Writes a file; who may do what with one that is replaced stays.

        Args:
            path: where.
            data: None: it is known only while building.
            origin: for messages.
            quiet: it is part of an edit that was recorded already.

        Raises:
            CommandFailed: its directory is not there, or the path is a directory.
        """
        place, item = self.target(path)
        content = content_of(data, origin) if isinstance(data, bytes) else data
        access, bits = (item.access, item.bits) if item is not None and item.is_file else ("", 0)
        self.tree.put(Item(place, Kind.FILE, content, access, bits))
        if quiet:
            return
        text = ""
        if isinstance(data, bytes) and len(data) <= _SHORT:
            text = _readable(data)
        digest = content.digest if content is not None else ""
        self.add(WriteFile(path_text(place), content.size if content is not None else None, digest, text))

    def target(self, path: Components) -> tuple[Components, Item | None]:
        """Where a file may be written, links followed, and what is there.

        Raises:
            CommandFailed: its directory is not there, or the path is a directory.
        """
        if not path:
            raise CommandFailed("C:\\ is a directory", 5)
        place = self.tree.resolve(path) if not any(has_hole(part) for part in path) else path
        item = self.find(place)
        if item is not None and item.is_directory:
            raise CommandFailed(f"{item.text} is a directory: access is denied", 5)
        above = self.find(place[:-1])
        if above is None or not (above.is_directory or above.unknown):
            raise CommandFailed(f"there is no directory {path_text(place[:-1])}", 3)
        if above.unknown and not any(has_hole(part) for part in place):
            self.tree.make_directories(place[:-1])
        self.check_allowed(place)
        return place, item

    def check_allowed(self, path: Components, *, directory: bool = False) -> None:
        r"""Notes where an account without rights is not allowed to write; it may make directories in `C:\`, and files in those."""
        if self.start.is_administrator or not path:
            return
        top = upcase(path[0])
        if (len(path) == 1 and not directory) or top in ("WINDOWS", "PROGRAM FILES", "PROGRAM FILES (X86)"):
            self.note(
                f"{self.start.account} may not write {path_text(path)}: on Windows this step would be denied; "
                f"write USER ContainerAdministrator above it"
            )

    def read(self, path: Components, limit: int = MAX_TEXT) -> bytes | None:
        """A file's bytes; None when they are known only while building.

        Raises:
            CommandFailed: there is no such file.
            CannotLower: it has more bytes than the limit, or cannot be known.
        """
        item = self.find(path)
        if item is None:
            raise CommandFailed(f"there is no file {path_text(path)}", 2)
        if item.is_directory:
            raise CommandFailed(f"{item.text} is a directory: access is denied", 5)
        if item.content is None:
            if not self.planning:
                raise CannotLower(f"what is in {path_text(path)} is not known")
            self.late = True
            return None
        return read_content(item.content, limit)

    def read_item(self, path: Components) -> Item:
        """The file at a path.

        Raises:
            CommandFailed: there is none.
        """
        item = self.find(path)
        if item is None:
            raise CommandFailed(f"there is no file {path_text(path)}", 2)
        if item.is_directory:
            raise CommandFailed(f"{item.text} is a directory", 5)
        return item

    def copy_file(self, source: Item, target: Components, *, quiet: bool = False) -> None:
        """Copies one file; it takes after the directory that it comes into.

        Raises:
            CommandFailed: it cannot be written there, or onto itself.
        """
        if not source.is_file and not source.unknown:
            raise CommandFailed(f"{source.text} is no file", 5)
        place, item = self.target(target)
        if item is not None and item.path == source.path and not source.unknown:
            raise CommandFailed(f"{source.text} cannot be copied onto itself")
        access = item.access if item is not None and item.is_file else ""
        # In a plan the source may be a directory, or the target one that is there.
        unsure = source.unknown or (item is not None and item.unknown)
        kind = Kind.UNKNOWN if unsure else Kind.FILE
        self.tree.put(Item(place, kind, source.content, access, source.bits, at=source.at))
        if not quiet:
            self.add(CopyPath(source.text, path_text(place)))

    def copy_tree(self, source: Item, target: Components) -> None:
        """Copies what is in a directory into another, which is made; files there are replaced.

        Raises:
            CommandFailed: something of it cannot be written there.
        """
        place = self.tree.resolve(target)
        self.add(CopyPath(source.text, path_text(place)))
        try:
            self.tree.make_directories(place)
        except CannotLower as error:
            raise CommandFailed(error.reason) from error
        if self.vague_below(source):
            self.tree.vague.add(tuple(map(upcase, place)))
        for item in list(self.tree.below(source.path)):
            self.tick()
            inside = (*place, *item.path[len(source.path) :])
            if item.is_directory:
                try:
                    self.tree.make_directories(inside)
                except CannotLower as error:
                    raise CommandFailed(error.reason) from error
            elif item.kind is Kind.LINK:
                self.tree.put(msgspec.structs.replace(item, path=inside, in_base=False))
            else:
                self.copy_file(item, inside, quiet=True)

    def vague_below(self, item: Item) -> bool:
        """Whether there may be more in what is at a path than is known; notes that a plan assumes it."""
        if item.unknown:
            return True
        if not item.is_directory:
            return False
        if not self.planning and self.tree.is_vague(item.path):
            self.tree.base.load()
        vague = self.tree.is_vague(item.path) or any(
            other[: len(item.path)] == tuple(map(upcase, item.path)) for other in self.tree.vague
        )
        if vague and not self.planning and not self.start.toolchain:
            raise CannotLower(f"what is in {item.text} is not known without the base's files")
        self.late = self.late or vague
        return vague and self.planning

    def move(self, source: Item, target: Components) -> None:
        """Moves or renames; everything below moves with it and keeps its access.

        Raises:
            CommandFailed: the target is there, or is below the source.
        """
        place = self.spelt(target)
        if place[: len(source.path)] == source.path and place != source.path:
            raise CommandFailed(f"{source.text} cannot be moved into itself")
        above = self.find(place[:-1])
        if not place or above is None or not (above.is_directory or above.unknown):
            raise CommandFailed(f"there is no directory {path_text(place[:-1])}", 3)
        if above.unknown and not any(has_hole(part) for part in place):
            self.tree.make_directories(place[:-1])
        self.check_allowed(place)
        vague = self.vague_below(source)
        moved = [(source.path, msgspec.structs.replace(source, in_base=False))]
        if source.is_directory:
            moved += [
                (item.path, msgspec.structs.replace(item, in_base=False)) for item in self.tree.below(source.path)
            ]
        if not source.unknown:
            self.tree.remove(source.path)
        elif not any(has_hole(part) for part in source.path):
            self.tree.changes[tuple(map(upcase, source.path))] = None
        for path, item in moved:
            self.tick()
            self.tree.put(msgspec.structs.replace(item, path=(*place, *path[len(source.path) :])))
        if vague:
            self.tree.vague.add(tuple(map(upcase, place)))
        self.add(MovePath(source.text, path_text(place)))

    def remove(self, item: Item) -> None:
        """Removes what is at a path; of a link, the link."""
        path = item.path
        if not path:
            raise CommandFailed("C:\\ cannot be removed", 5)
        self.check_allowed(path)
        self.tree.remove(path)
        self.add(RemovePath(path_text(path)))

    def link(self, path: Components, target: str, kind: str, *, directory: bool) -> None:
        r"""Makes a link.

        Args:
            path: where.
            target: a symbolic link's text as it is written; else a path.
            kind: "symbolic", "junction" or "hard".
            directory: it leads to a directory.

        Raises:
            CommandFailed: something is there, or a hard link's file is not.
        """
        place = self.spelt(path)
        there = self.find(place, follow=False)
        if there is not None and not there.unknown:
            raise CommandFailed(f"{path_text(place)} is there already", 183)
        above = self.find(place[:-1])
        if above is None or not (above.is_directory or above.unknown):
            raise CommandFailed(f"there is no directory {path_text(place[:-1])}", 3)
        if above.unknown and not any(has_hole(part) for part in place):
            self.tree.make_directories(place[:-1])
        self.check_allowed(place)
        if kind == "hard":
            leads_to = self.path(target)
            item = self.find(leads_to)
            if item is None or item.is_directory:
                raise CommandFailed(f"there is no file {path_text(leads_to)}", 2)
            text = path_text(self.tree.resolve(leads_to))
            self.tree.put(Item(place, Kind.FILE, item.content, target=text, link="hard"))
        else:
            text = target if kind == "symbolic" else path_text(self.path(target))
            is_directory = directory or kind == "junction"
            self.tree.put(Item(place, Kind.LINK, target=text, link=kind, directory_link=is_directory))
        self.add(MakeLink(path_text(place), text, kind, directory))


def _readable(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if all(character.isprintable() or character in "\r\n\t" for character in text) else ""
