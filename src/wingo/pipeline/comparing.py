"""`wingo diff`: what differs between two images or indexes: config, layers, files, Go modules, code by package.

A base that is not at hand is not fetched: what changed between two bases of Microsoft's is theirs to tell, that the base
changed is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.archive.unpack import MemberKind
from wingo.errors import RequestError
from wingo.image.model import Image
from wingo.oci.place import Place
from wingo.oci.wire import MAX_CONFIG_BYTES, document
from wingo.pipeline.base_layers import BaseLayers, base_of
from wingo.pipeline.choosing import runnable_images
from wingo.pipeline.programs import GoProgram, PackageSize, find_programs, package_changes
from wingo.pipeline.transfer import completed, read_platform
from wingo.pipeline.viewing import view_of
from wingo.stores.parallel import each
from wingo.stores.reading import readable
from wingo.view.diff import FileChange, diff_views
from wingo.view.layer import Node
from wingo.view.merged import View, make_view

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

_BUILD_PARTS = 3
_NOT_COMPARED = frozenset({"rootfs", "history"})
_NONE = ""


class Changed(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Something with a name and a value.

    Attributes:
        name: for instance "env PATH", "golang.org/x/text", "label team".
        before: None: it was not there.
        after: None: it is not there any more.
    """

    name: str
    before: str | None = None
    after: str | None = None


class FileState(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A file on one side.

    Attributes:
        kind: what it is.
        size: in bytes.
        mode: in octal.
        owner: `uid:gid`.
        digest: of its content.
        link_target: of a link.
        path: where it differs from the other side's.
    """

    kind: str
    size: int = 0
    mode: str = ""
    owner: str = ""
    digest: str = ""
    link_target: str = ""
    path: str = ""


class FileRow(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A file that differs; see `wingo.view.diff.FileChange`."""

    path: str
    before: FileState | None = None
    after: FileState | None = None
    what: tuple[str, ...] = ()


class LayerChange(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A layer.

    Attributes:
        change: "same", "removed" or "added".
        digest: as stored.
        diff_id: of the tar.
        size: as stored, in bytes.
        of_base: whether it is the base's.
    """

    change: str
    digest: str
    diff_id: str
    size: int
    of_base: bool = False


class PackageRow(msgspec.Struct, frozen=True, rename="camel"):
    """A package's code, in bytes; 0 where it has none."""

    package: str
    before: int
    after: int


class ProgramRow(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A Go program that differs.

    Attributes:
        path: in the image, of the newer one.
        path_before: of the older one, where it differs.
        before: None: it was not there.
        after: None: it is not there any more.
        facts: the Go version, the main module, build settings.
        modules: that came, went, or have another version.
        packages: whose code has another size, the greatest change first.
    """

    path: str
    path_before: str = ""
    before: GoProgram | None = None
    after: GoProgram | None = None
    facts: tuple[Changed, ...] = ()
    modules: tuple[Changed, ...] = ()
    packages: tuple[PackageRow, ...] = ()


class ImageDifference(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image of each side.

    Attributes:
        platform: of the newer one.
        before: digest of its manifest.
        after: likewise.
        size_before: of all layers as stored, in bytes.
        size_after: likewise.
        config: what differs in the config and in the manifest's annotations.
        layers: lowest first.
        files: by path.
        programs: Go programs that differ.
        same_files_as: the platform above that has the very same differences of files; they are not told twice.
        notes: what was not compared.
    """

    platform: str
    before: str
    after: str
    size_before: int
    size_after: int
    config: tuple[Changed, ...] = ()
    layers: tuple[LayerChange, ...] = ()
    files: tuple[FileRow, ...] = ()
    programs: tuple[ProgramRow, ...] = ()
    same_files_as: str = ""
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything does, times aside."""
        return bool(self.config or self.files or any(layer.change != "same" for layer in self.layers))


class Difference(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Two places.

    Attributes:
        before: the first, as the user wrote it.
        after: the second.
        digest_before: of what is there.
        digest_after: likewise.
        images: those that both have, in the second's order.
        removed: platforms that only the first has.
        added: platforms that only the second has.
    """

    before: str
    after: str
    digest_before: str
    digest_after: str
    images: tuple[ImageDifference, ...] = ()
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def compare(before: Place, after: Place, platform: str, places: Places, *, with_base: bool) -> Difference:
    """Compares two places.

    Args:
        before: the first.
        after: the second.
        platform: one of an index; "" for all. Two single images are compared whatever their platforms.
        places: where things are read from.
        with_base: read the bases' layers too, whatever it takes.

    Raises:
        RequestError: there is no image, or no platform that both have.
        ContentError: a layer is damaged.
    """
    old, new = each(places.jobs, lambda place: read_platform(place, platform, places, wanted=readable), (before, after))
    if with_base:
        old, new = (
            completed(artifact, places) if place.reference is None else artifact
            for place, artifact in ((before, old), (after, new))
        )
    olds, news = runnable_images(old), runnable_images(new)
    for place, images in ((before, olds), (after, news)):
        if not images:
            raise RequestError(f"there is no image at {place}")
    pairs, removed, added = _paired(olds, news)
    if not pairs:
        raise RequestError(
            f"{before} and {after} have no platform in common",
            hint=f"The first is for {', '.join(removed)}, the second for {', '.join(added)}.",
        )
    comparing = _Comparing(places, with_base=with_base)
    return Difference(
        before=str(before),
        after=str(after),
        digest_before=old.digest,
        digest_after=new.digest,
        images=tuple(comparing.images(mine, its) for mine, its in pairs),
        removed=tuple(removed),
        added=tuple(added),
    )


def _paired(olds: Sequence[Image], news: Sequence[Image]) -> tuple[list[tuple[Image, Image]], list[str], list[str]]:
    if len(olds) == len(news) == 1:
        return [(olds[0], news[0])], [], []
    by_key: dict[object, Image] = {}
    for image in olds:
        by_key.setdefault(_key(image), image)
    pairs, added = [], []
    for image in news:
        other = by_key.pop(_key(image), None)
        if other is None:
            added.append(str(image.platform))
        else:
            pairs.append((other, image))
    return pairs, [str(image.platform) for image in by_key.values()], added


def _key(image: Image) -> object:
    """The platform without the month's revision."""
    platform = image.platform
    return (
        platform.os,
        platform.architecture,
        platform.variant,
        tuple(platform.os_version.split(".")[:_BUILD_PARTS]),
    )


class _Comparing:
    def __init__(self, places: Places, *, with_base: bool) -> None:
        self.places = places
        self.with_base = with_base
        self.told: dict[object, str] = {}

    def images(self, old: Image, new: Image) -> ImageDifference:
        bases = base_of(old, self.places), base_of(new, self.places)
        views, notes = self.views(old, new, bases)
        files: tuple[FileRow, ...] = ()
        programs: tuple[ProgramRow, ...] = ()
        told = ""
        if views is not None:
            changes = diff_views(*views) + list(_removed_from_base(*views))
            key = tuple(_identity(change) for change in changes)
            told = self.told.get(key, "") if key else ""
            if not told:
                self.told[key] = str(new.platform)
                files = tuple(_row(change) for change in changes)
                programs = self.programs(views, changes)
        return ImageDifference(
            platform=str(new.platform),
            before=old.digest,
            after=new.digest,
            size_before=sum(layer.descriptor.size for layer in old.layers),
            size_after=sum(layer.descriptor.size for layer in new.layers),
            config=tuple(config_changes(old, new)),
            layers=tuple(_layer_changes(old, new, bases)),
            files=files,
            programs=programs,
            same_files_as=told,
            notes=notes,
        )

    def views(
        self, old: Image, new: Image, bases: tuple[BaseLayers, BaseLayers]
    ) -> tuple[tuple[View, View] | None, tuple[str, ...]]:
        """The two file systems, as far as both can be compared."""
        common = _common_layers(old, new)
        if common == len(old.layers) == len(new.layers):
            return None, ()
        mine, its = (
            view_of(image, self.places, base_layers=self.with_base, base=base)
            for image, base in zip((old, new), bases, strict=True)
        )
        if mine.complete and its.complete:
            return (mine, its), ()
        counts = [base.count for base in bases]
        if max(counts) <= common:
            # One base: what is not at hand of it is the same in both.
            return (_above(mine, max(counts)), _above(its, max(counts))), (
                ("a file that takes the place of one of the base counts as added: --with-base tells them apart",)
            )
        if min(counts) > common:
            views = _above(mine, counts[0]), _above(its, counts[1])
            return views, ("the files of the two bases were not compared: --with-base reads them",)
        which = "first" if counts[0] > common else "second"
        return None, (f"the files were not compared: the base of the {which} is not at hand; --with-base reads it",)

    def programs(self, views: tuple[View, View], changes: Sequence[FileChange]) -> tuple[ProgramRow, ...]:
        found: list[Mapping[str, GoProgram]] = []
        for view, side in zip(views, ("before", "after"), strict=True):
            nodes = [getattr(change, side) for change in changes if "content" in change.what or not change.what]
            wanted = [node for node in nodes if node is not None and node.kind is MemberKind.FILE]
            found.append(find_programs(view, wanted, self.places))
        old, new = dict(found[0]), dict(found[1])
        rows = []
        for was, now in _paired_programs(old, new):
            row = program_change(now or was, old.get(was), new.get(now))
            rows.append(msgspec.structs.replace(row, path_before=was) if was and now and was != now else row)
        return tuple(rows)


def _paired_programs(old: Mapping[str, GoProgram], new: Mapping[str, GoProgram]) -> Iterator[tuple[str, str]]:
    """Paths that belong together: the same, else those of the same main package; "" where there is no other."""
    left = dict(old)
    for path, program in new.items():
        if path in left:
            del left[path]
            yield path, path
            continue
        same = [name for name, other in left.items() if other.package == program.package and name not in new]
        if len(same) == 1:
            del left[same[0]]
            yield same[0], path
        else:
            yield _NONE, path
    for path in left:
        yield path, _NONE


def _above(view: View, count: int) -> View:
    return make_view(view.image, [None] * count + list(view.layers[count:]))


def _common_layers(old: Image, new: Image) -> int:
    count = 0
    for mine, its in zip(old.layers, new.layers, strict=False):
        if mine.diff_id != its.diff_id or not mine.diff_id:
            break
        count += 1
    return count


def _removed_from_base(old: View, new: View) -> Iterator[FileChange]:
    """Whiteouts of files in layers that were not read."""
    gone, was_gone = _whiteouts(new), _whiteouts(old)
    for path in sorted(gone.keys() - was_gone.keys()):
        if old.find(path, follow=False) is None and new.find(path, follow=False) is None:
            yield FileChange(path, Node(path, MemberKind.OTHER), None)


def _whiteouts(view: View) -> dict[str, None]:
    if view.complete:
        return {}
    return dict.fromkeys(path for files in view.layers if files is not None for path in files.whiteouts)


def _identity(change: FileChange) -> object:
    def side(node: Node | None) -> object:
        return None if node is None else (node.kind, node.sha256, node.mode, node.uid, node.gid, node.link_target)

    return change.path, side(change.before), side(change.after), change.what


def _row(change: FileChange) -> FileRow:
    before, after = change.before, change.after
    moved = before is not None and after is not None and before.path != after.path
    return FileRow(
        change.path,
        None if before is None else _state(before, before.path if moved else ""),
        None if after is None else _state(after, ""),
        change.what,
    )


def _state(node: Node, path: str) -> FileState:
    is_file = node.kind is MemberKind.FILE
    known = not node.implied
    return FileState(
        kind=node.kind.value if known or node.kind is MemberKind.DIRECTORY else "of the base",
        size=node.size,
        mode=f"{node.mode:04o}" if known else "",
        owner=f"{node.uid}:{node.gid}" if known else "",
        digest=node.digest if is_file else "",
        link_target=node.link_target,
        path=path,
    )


def config_changes(old: Image, new: Image) -> list[Changed]:
    """What differs in two configs, member by member, and in the manifests' annotations."""
    before, after = _flat(old), _flat(new)
    return _changes(before, after)


def _flat(image: Image) -> dict[str, str]:
    raw = document(image.config_bytes, "config", limit=MAX_CONFIG_BYTES)
    flat: dict[str, str] = {}
    settings = raw.get("config")
    for name, value in raw.items():
        if name != "config" and name not in _NOT_COMPARED:
            _put(flat, name, value)
    for name, value in settings.items() if isinstance(settings, dict) else ():
        if name == "Env" and isinstance(value, list):
            for item in value:
                key, _, text = str(item).partition("=")
                flat[f"env {key}"] = text
        elif name == "Labels" and isinstance(value, dict):
            for key, text in value.items():
                flat[f"label {key}"] = str(text)
        elif name in ("ExposedPorts", "Volumes") and isinstance(value, dict):
            for key in value:
                flat[f"{'port' if name == 'ExposedPorts' else 'volume'} {key}"] = "yes"
        else:
            _put(flat, name, value)
    for key, text in image.manifest.annotations.items():
        flat[f"annotation {key}"] = text
    return flat


def _put(flat: dict[str, str], name: str, value: object) -> None:
    if value in (None, "", [], {}, False):
        return
    flat[name] = value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Changed]:
    names = dict.fromkeys((*before, *after))
    return [Changed(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _layer_changes(old: Image, new: Image, bases: tuple[BaseLayers, BaseLayers]) -> Iterator[LayerChange]:
    common = _common_layers(old, new)
    for change, image, start, base in (
        ("same", new, 0, bases[1]),
        ("removed", old, common, bases[0]),
        ("added", new, common, bases[1]),
    ):
        stop = common if change == "same" else len(image.layers)
        for number in range(start, stop):
            layer = image.layers[number]
            descriptor = layer.descriptor
            yield LayerChange(change, descriptor.digest, layer.diff_id, descriptor.size, number < base.count)


def program_change(path: str, before: GoProgram | None, after: GoProgram | None) -> ProgramRow:
    """What differs between two programs."""
    was, now = _facts(before), _facts(after)
    both = before is not None and after is not None
    packages: Sequence[PackageSize] = package_changes(before.code, after.code) if before and after else ()
    return ProgramRow(
        path=path,
        before=before,
        after=after,
        facts=tuple(_changes(was, now)) if both else (),
        modules=tuple(_changes(before.modules, after.modules)) if before and after else (),
        packages=tuple(PackageRow(item.package, item.before, item.after) for item in packages),
    )


def _facts(program: GoProgram | None) -> dict[str, str]:
    if program is None:
        return {}
    named = {"go": program.go_version, "package": program.package, "module": program.module, "version": program.version}
    return {**{name: value for name, value in named.items() if value}, **program.settings}
