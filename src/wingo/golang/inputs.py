"""What a build reads: the files and directories that `go list -deps` names, and all that decides what it names.

The module cache and GOROOT never change under the same names; what the main modules, the workspace's, `replace`
directories and `vendor` hold does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.golang.command import build_environment, build_flags, watchable
from wingo.golang.fingerprint import Kind, Role, Watch, relevant_name
from wingo.golang.git import MARKERS, find_repository
from wingo.golang.gosource import mentions_zones
from wingo.golang.packages import Package, read_packages

if TYPE_CHECKING:
    from wingo.golang.command import GoFlags
    from wingo.golang.runner import Runner
    from wingo.golang.targets import TargetSet
    from wingo.golang.toolchain import Toolchain

_FIELDS = (
    "Dir,ImportPath,Name,Standard,Module,GoFiles,CgoFiles,IgnoredGoFiles,IgnoredOtherFiles,CFiles,CXXFiles,MFiles,HFiles,"
    "FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles,EmbedPatterns,EmbedFiles"
)
_SETTINGS = ("GOMODCACHE", "GOROOT", "GOMOD", "GOWORK", "GOFLAGS", "GO111MODULE", "GOTOOLCHAIN", "GOENV", "CGO_ENABLED")
_MAX_WATCHED = 50_000
_MAX_RULES_BYTES = 4 << 20
_MAX_SOURCE_BYTES = 8 << 20


class Unwatchable(Exception):
    """The inputs of a build cannot all be watched, so it is never taken for unchanged."""


class Listing(msgspec.Struct, frozen=True):
    """What a build depends on.

    Attributes:
        packages: all, the standard library's included.
        settings: the go command's own, as `go env` prints them.
    """

    packages: tuple[Package, ...]
    settings: dict[str, str]

    def immutable(self, directory: str) -> bool:
        """Whether a directory is in the module cache or in GOROOT."""
        return any(
            root and directory.startswith(root.rstrip(os.sep) + os.sep)
            for root in (self.settings.get("GOMODCACHE", ""), self.settings.get("GOROOT", ""))
        )


def list_inputs(
    packages: Sequence[str],
    directory: str,
    platform: tuple[str, str, str],
    flags: GoFlags,
    *,
    toolchain: Toolchain,
    runner: Runner,
    environment: Mapping[str, str],
) -> Listing | None:
    """Asks go what packages depend on (two processes); None when it cannot say, which the build itself will explain."""
    env = build_environment(environment, *platform, flags)
    options = tuple(
        flag for flag in build_flags(flags, False, environment) if not flag.startswith(("-ldflags", "-gcflags"))
    )
    done = runner.run(
        (toolchain.path, "list", "-deps", f"-json={_FIELDS}", *options, "--", *packages), cwd=directory, env=env
    )
    if done.status != 0:
        return None
    asked = runner.run((toolchain.path, "env", "-json", *_SETTINGS), cwd=directory, env=env)
    if asked.status != 0:
        return None
    return Listing(tuple(read_packages(done.stdout)), msgspec.json.decode(asked.stdout, type=dict[str, str]))


def looks_up_zones(listing: Listing) -> bool:
    """Whether a program names time zones and carries no database of them.

    The rule: a package outside the standard library mentions `LoadLocation` (of package time) in a file that is
    compiled for the platform, and `time/tzdata` is not among the dependencies. It may be code that never runs.
    """
    if any(package.import_path == "time/tzdata" for package in listing.packages):
        return False
    for package in listing.packages:
        if package.standard:
            continue
        for name in (*package.go_files, *package.cgo_files):
            try:
                with open(os.path.join(package.dir, name), "rb") as file:
                    if mentions_zones(file.read(_MAX_SOURCE_BYTES)):
                        return True
            except OSError:
                continue
    return False


def watch_list(targets: TargetSet, flags: GoFlags, listing: Listing, *, stamped: bool) -> Watch:
    """What to look at to know that a build would make the same again.

    Args:
        targets: what was asked for.
        flags: how it is compiled.
        listing: what it depends on.
        stamped: whether version control is asked, too.

    Raises:
        Unwatchable: with the reason.
    """
    return _Watcher(targets, flags, listing).watch(stamped=stamped)


class _Watcher:
    def __init__(self, targets: TargetSet, flags: GoFlags, listing: Listing) -> None:
        self.targets, self.flags, self.listing = targets, flags, listing
        self.files: dict[str, Role] = {}
        self.directories: dict[str, Kind] = {}

    def watch(self, *, stamped: bool) -> Watch:
        listing, settings = self.listing, self.listing.settings
        if reason := watchable(self.flags, settings):
            raise Unwatchable(reason)
        if settings.get("CGO_ENABLED") == "1" and any(
            p.cgo_files or p.swig_files or p.swig_cxx_files for p in listing.packages
        ):
            raise Unwatchable("cgo: the C compiler and its headers are not watched")
        if settings.get("GOENV") and settings["GOENV"] != "off":
            self.add_file(settings["GOENV"], Role.RULE)
        roots = self.add_rules()
        for package in listing.packages:
            if not package.standard and not listing.immutable(package.dir):
                self.add_package(package)
        self.add_shadows(roots)
        for pattern in self.targets.patterns:
            self.add_pattern(pattern, roots)
        mains = {package.dir for package in listing.packages if package.name == "main" and not package.standard}
        for folder in (self.targets.directory, *sorted(mains)):
            if not listing.immutable(folder):
                self.add_parents(folder, stamped=stamped)
        return Watch(tuple(self.files.items()), tuple(self.directories.items()))

    def add_file(self, path: str, role: Role) -> None:
        if self.files.get(path) is not Role.RULE:
            self.files[path] = role
        self.limit()

    def add_directory(self, path: str, kind: Kind) -> None:
        order = (Kind.SOURCES, Kind.TREE, Kind.ALL)  # each sees what the one before it sees, and more
        kind = max(self.directories.get(path, kind), kind, key=order.index)
        self.directories[path] = kind
        self.limit()

    def limit(self) -> None:
        if len(self.files) + len(self.directories) > _MAX_WATCHED:
            raise Unwatchable(f"more than {_MAX_WATCHED} files")

    def add_rules(self) -> dict[str, str]:
        """go.mod, go.work and their kin; returns the directories of modules that may change, by path."""
        settings = self.listing.settings
        roots: dict[str, str] = {}
        waiting: list[str] = []
        null = os.devnull
        if work := settings.get("GOWORK", ""):
            folder = os.path.dirname(work)
            self.add_file(work, Role.RULE)
            self.add_file(os.path.join(folder, "go.work.sum"), Role.RULE)
            self.add_vendor(folder)
            waiting += [os.path.join(path, "go.mod") for path in local_paths(work, folder)]
        module = settings.get("GOMOD", "")
        if module and module != null:
            waiting.append(module)
        waiting += [
            package.module.go_mod
            for package in self.listing.packages
            if package.module is not None
            and package.module.go_mod
            and not self.listing.immutable(package.module.go_mod)
        ]
        done: set[str] = set()
        while waiting:
            path = os.path.normpath(waiting.pop())
            if path in done or self.listing.immutable(path):
                continue
            done.add(path)
            folder = os.path.dirname(path)
            self.add_file(path, Role.RULE)
            self.add_file(os.path.join(folder, "go.sum"), Role.RULE)
            self.add_vendor(folder)
            waiting += [os.path.join(replaced, "go.mod") for replaced in local_paths(path, folder)]
            name = _module_name(path)
            if name:
                roots[name] = folder
        return roots

    def add_vendor(self, folder: str) -> None:
        self.add_file(os.path.join(folder, "vendor"), Role.PRESENCE)
        self.add_file(os.path.join(folder, "vendor", "modules.txt"), Role.RULE)

    def add_package(self, package: Package) -> None:
        folder = package.dir
        self.add_directory(folder, Kind.SOURCES)
        for name in (*package.go_files, *package.cgo_files, *package.ignored_go_files):
            if not name.endswith("_test.go"):
                self.add_file(os.path.join(folder, name), Role.SOURCE)
        for names in (
            package.ignored_other_files, package.c_files, package.cxx_files, package.m_files, package.h_files,
            package.f_files, package.s_files, package.swig_files, package.swig_cxx_files, package.syso_files,
        ):  # fmt: skip
            for name in names:
                self.add_file(os.path.join(folder, name), Role.RULE)
        for name in package.embed_files:
            self.add_file(os.path.join(folder, name), Role.DATA)
            above = os.path.dirname(name)
            while above:
                # A go.mod in between would take the file out of the module.
                self.add_file(os.path.join(folder, above, "go.mod"), Role.RULE)
                above = os.path.dirname(above)
        for pattern in package.embed_patterns:
            self.add_embed(folder, pattern)
        if package.name == "main":
            self.add_file(os.path.join(folder, "default.pgo"), Role.DATA)
        root = package.module.dir if package.module is not None else ""
        while root and folder != root and folder.startswith(root):
            # A go.mod in between would cut the package out of its module.
            self.add_file(os.path.join(folder, "go.mod"), Role.RULE)
            folder = os.path.dirname(folder)

    def add_embed(self, folder: str, pattern: str) -> None:
        levels = [folder]
        elements = pattern.removeprefix("all:").split("/")
        for depth, element in enumerate(elements):
            last = depth == len(elements) - 1
            following: list[str] = []
            for level in levels:
                if not re.search(r"[*?\[\\]", element):
                    candidates = [element]
                else:
                    self.add_directory(level, Kind.ALL)
                    matching = _glob(element)
                    candidates = [name for name in _names(level) if matching is None or matching.fullmatch(name)]
                for name in candidates:
                    path = os.path.normpath(os.path.join(level, name))
                    if os.path.isdir(path) and not os.path.islink(path):
                        following.append(path)
                    elif last:
                        self.add_file(path, Role.DATA)
            levels = following
        for level in levels:
            self.add_tree(level, Kind.ALL)

    def add_tree(self, top: str, kind: Kind) -> None:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            self.add_directory(folder, kind)
            if folder != top and os.path.lexists(os.path.join(folder, "go.mod")):
                continue  # another module
            for name in _names(folder):
                path = os.path.join(folder, name)
                wanted = name != ".git" and (kind is Kind.ALL or relevant_name(name, "d", kind))
                if wanted and os.path.isdir(path) and not os.path.islink(path):
                    waiting.append(path)

    def add_shadows(self, roots: Mapping[str, str]) -> None:
        """Directories that, once there, would make an import of another module's package ambiguous."""
        for package in self.listing.packages:
            if package.standard:
                continue
            own = package.module.path if package.module is not None else ""
            for name, folder in roots.items():
                if name != own and package.import_path.startswith(name + "/"):
                    rest = package.import_path[len(name) + 1 :]
                    self.add_directory(os.path.join(folder, *rest.split("/")), Kind.SOURCES)

    def add_pattern(self, pattern: str, roots: Mapping[str, str]) -> None:
        if "..." not in pattern:
            return
        if pattern.startswith("."):
            before = pattern.split("...", 1)[0]
            base = before[: before.rfind("/") + 1]
            self.add_tree(os.path.normpath(os.path.join(self.targets.directory, base)), Kind.TREE)
        else:
            for folder in roots.values():
                self.add_tree(folder, Kind.TREE)

    def add_parents(self, folder: str, *, stamped: bool) -> None:
        """Where a go.mod, a go.work or a repository could appear that would be found instead."""
        settings = self.listing.settings
        module = settings.get("GOMOD", "")
        repository = find_repository(folder) if stamped else None
        top = os.path.dirname(module) if module and module != os.devnull else ""
        below_module, below_repository = True, stamped
        while True:
            self.add_file(os.path.join(folder, "go.work"), Role.RULE)
            if below_module:
                self.add_file(os.path.join(folder, "go.mod"), Role.RULE)
            if below_repository:
                for marker in MARKERS:
                    self.add_file(os.path.join(folder, marker), Role.PRESENCE)
            if folder == top:
                below_module = False
            if repository is not None and folder == repository.root:
                below_repository = False
            parent = os.path.dirname(folder)
            if parent == folder:
                return
            folder = parent


def repository_roots(listing: Listing) -> Iterable[str]:
    """The directories whose version control go may stamp into the programs."""
    return sorted(
        {
            package.dir
            for package in listing.packages
            if package.name == "main" and not package.standard and not listing.immutable(package.dir)
        }
    )


def local_paths(path: str, folder: str) -> list[str]:
    """The directories that a go.mod or go.work names (`replace` and `use`): all that look like one, to be safe."""
    workspace = path.endswith(".work")
    found: list[str] = []
    for line in _rules(path):
        for word in re.findall(r'"[^"]*"|`[^`]*`|[^\s()]+', line.split("//")[0]):
            text = word.strip('"`')
            if workspace or text.startswith((".", "/")) or (os.name == "nt" and re.match(r"[A-Za-z]:|\\", text)):
                found.append(os.path.normpath(os.path.join(folder, text)))
    return found


def _module_name(path: str) -> str:
    for line in _rules(path):
        words = line.split("//")[0].split()
        if len(words) == 2 and words[0] == "module":
            return words[1].strip('"`')
    return ""


def _rules(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_RULES_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _glob(element: str) -> re.Pattern[str] | None:
    """One element of a pattern of Go's `path.Match` as a regular expression; None: take everything for a match."""
    text, position = "", 0
    while position < len(element):
        character = element[position]
        position += 1
        if character == "*":
            text += ".*"
        elif character == "?":
            text += "."
        elif character == "\\" and position < len(element):
            text += re.escape(element[position])
            position += 1
        elif character in "[\\":
            return None
        else:
            text += re.escape(character)
    return re.compile(text, re.DOTALL)
