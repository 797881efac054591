"""`Layout`: an OCI image layout, a directory with `index.json` and blobs (image-spec `image-layout.md`)."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import BinaryIO

from wingo.errors import ContentError, HostError, Malformed, RequestError
from wingo.image.model import Image, Index, Layer, Opener, images_of
from wingo.image.progress import NO_PROGRESS, Progress
from wingo.oci.annotations import REF_NAME
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest
from wingo.oci.manifest import decode_index
from wingo.oci.media_types import OCI_INDEX, is_foreign
from wingo.oci.wire import MAX_MANIFEST_BYTES, document, encode
from wingo.stores.blobs import BlobDirectory, NewFile, host_errors
from wingo.stores.lock import locked_directory
from wingo.stores.reading import Wanted, everything, is_runnable, read_artifact

MARKER = b'{"imageLayoutVersion":"1.0.0"}'
_MAX_MARKER_BYTES = 4096
_MAX_TAG = 512


class Layout:
    """An image layout in a directory.

    Writing adds to what is there: blobs first, `index.json` last and by a rename, under a lock, so that a reader sees
    the old layout or the new one. A tag that is written again moves to the new image; the other tags stay.
    """

    def __init__(self, directory: str, tag: str = "", *, progress: Progress = NO_PROGRESS) -> None:
        """Takes a place.

        Args:
            directory: need not exist when it is written to.
            tag: what is read; "": the only image that is there.
            progress: is told of the layers that are copied.
        """
        self.directory = directory
        self.tag = tag
        self.blobs = BlobDirectory(directory)
        self._progress = progress

    def read(self, wanted: Wanted = everything) -> Image | Index:
        """Reads the image or index of the tag; documents only.

        A layer that a thin layout lacks is noticed when it is opened.

        Raises:
            RequestError: there is no layout, or no such tag; the hint lists the tags.
            ContentError: a document is damaged or missing.
        """
        descriptor = self.find()
        return read_artifact(descriptor, self._document, self._open_layer, wanted)

    def find(self) -> Descriptor:
        """The descriptor that the tag stands for.

        Raises:
            RequestError: there is no layout, or no such tag.
            ContentError: `index.json` or `oci-layout` is damaged.
        """
        return find_tagged(self.listing(), self.tag, f"oci:{self.directory}")

    def listing(self) -> tuple[Descriptor, ...]:
        """What `index.json` lists, oldest first.

        Raises:
            RequestError: the directory is no layout.
            ContentError: `index.json` or `oci-layout` is damaged.
        """
        marker = self._small_file("oci-layout", _MAX_MARKER_BYTES)
        data = self._small_file("index.json", MAX_MANIFEST_BYTES)
        if marker is None or data is None:
            raise RequestError(
                f"{self.directory} is not an OCI image layout", hint="A layout is a directory that has an index.json."
            )
        check_marker(marker)
        return decode_index(data).manifests

    def write(
        self, artifact: Image | Index, tags: Sequence[str] = (), *, leave_out: Collection[Digest] = ()
    ) -> Descriptor:
        """Writes an image or index and gives it tags.

        Args:
            artifact: what to write.
            tags: its names; none: it is listed without a name.
            leave_out: layers, by digest, whose bytes are not written (a thin layout). Non-distributable ones never are.

        Returns:
            The descriptor of the image or index.

        Raises:
            RequestError: a tag that no layout can have, or an index that is not at hand as a whole.
            HostError: it cannot be written; what was there before is as it was.
        """
        for tag in tags:
            check_tag(tag)
        check_complete(artifact)
        new = not os.path.isdir(self.directory)
        with locked_directory(self.directory):
            try:
                for layer in layers_to_write(artifact, leave_out):
                    self._write_layer(layer)
                for data in documents_of(artifact):
                    self.blobs.put(data)
                self._write_index(artifact, tags)
            except BaseException:
                if new:
                    self._remove_new()
                raise
        return artifact.descriptor

    def _write_layer(self, layer: Layer) -> None:
        descriptor = layer.descriptor
        if self.blobs.has(descriptor.digest, descriptor.size):
            return
        task = self._progress.start(f"layer {descriptor.digest[:19]}", descriptor.size)
        with layer.open() as stream:
            self.blobs.put_stream(stream, descriptor, task.advance)
        task.done()

    def _write_index(self, artifact: Image | Index, tags: Sequence[str]) -> None:
        data = self._small_file("index.json", MAX_MANIFEST_BYTES)
        if data is not None:
            decode_index(data)
        content = with_tags(data, artifact, tags)
        if data == content:
            return
        for name, bytes_ in (("oci-layout", MARKER), ("index.json", content)):
            if name == "oci-layout" and self._small_file(name, _MAX_MARKER_BYTES) is not None:
                continue
            with NewFile(self.blobs.scratch()) as file:
                file.write(bytes_)
                file.commit(os.path.join(self.directory, name))

    def _small_file(self, name: str, limit: int) -> bytes | None:
        path = os.path.join(self.directory, name)
        with host_errors("read", path):
            try:
                with open(path, "rb") as file:
                    data = file.read(limit + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None
        if len(data) > limit:
            raise Malformed(name, f"{path} has more than the {limit} bytes that wingo reads")
        return data

    def _document(self, descriptor: Descriptor, limit: int) -> bytes:
        data = self.blobs.read(descriptor.digest, limit)
        if data is None:
            raise ContentError(
                f"the layout {self.directory} lacks {descriptor.digest}, which it lists", hint="Write or copy it again."
            )
        return data

    def _open_layer(self, descriptor: Descriptor) -> Opener:
        return partial(open_present, self.blobs, descriptor, self.directory)

    def _remove_new(self) -> None:
        """After a failure: what this call made, unless somebody else has finished a layout here meanwhile."""
        import shutil

        if not os.path.exists(os.path.join(self.directory, "index.json")):
            with suppress(OSError):
                shutil.rmtree(self.directory)


def open_present(blobs: BlobDirectory, descriptor: Descriptor, where: str) -> BinaryIO:
    """Opens a layer of a layout.

    Raises:
        RequestError: it was left out.
        ContentError: it is damaged.
        HostError: it cannot be read.
    """
    stream = blobs.open(descriptor)
    if stream is None:
        raise left_out(descriptor, where)
    return stream


def left_out(descriptor: Descriptor, where: str) -> RequestError:
    """The error for a layer whose bytes are somewhere else."""
    return RequestError(
        f"{where} was written without the layer {descriptor.digest}",
        hint="Write it without --thin, or push it to a registry that has the layer already.",
    )


def find_tagged(listing: Sequence[Descriptor], tag: str, where: str) -> Descriptor:
    """The descriptor with that name, or the only one there is.

    Raises:
        RequestError: there is none, or several could be meant.
    """
    names = [name for entry in listing if (name := entry.annotations.get(REF_NAME))]
    hint = f"It has {', '.join(names[:20])}." if names else "It has no tags."
    if tag:
        found = [entry for entry in listing if entry.annotations.get(REF_NAME) == tag]
        if not found:
            raise RequestError(f"{where} has no tag {tag!r}", hint=hint)
        return found[-1]
    if len({entry.digest for entry in listing}) == 1:
        return listing[-1]
    if not listing:
        raise RequestError(f"{where} has no images")
    raise RequestError(f"{where} has {len(listing)} images, and no tag says which", hint=hint)


def check_marker(data: bytes) -> None:
    """Checks the `oci-layout` file.

    Raises:
        Malformed: it is none, or of another version.
    """
    version = document(data, "oci-layout", limit=_MAX_MARKER_BYTES).get("imageLayoutVersion")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise Malformed("oci-layout", f"its version is {version!r}, and wingo reads 1.0.0")


def check_tag(tag: str) -> None:
    """Checks a name for an image in a layout.

    Raises:
        RequestError: it is empty, too long, or has characters that cannot be seen.
    """
    if not tag or len(tag) > _MAX_TAG or not tag.isprintable() or " " in tag:
        raise RequestError(f"{tag[:80]!r} cannot be a tag", hint="Use letters, digits and . _ - / :")


def check_complete(artifact: Image | Index) -> None:
    """Checks that everything an index names is at hand.

    Raises:
        RequestError: it is not.
    """
    if isinstance(artifact, Image):
        return
    if not artifact.complete:
        raise RequestError(
            f"the index {artifact.digest} names images that were not read with it",
            hint="Copy the whole index, or make one of the images that are wanted.",
        )
    for child in artifact.children:
        check_complete(child)


def documents_of(artifact: Image | Index) -> list[bytes]:
    """Every document, those that are named before those that name them."""
    if isinstance(artifact, Image):
        return [artifact.config_bytes, artifact.manifest_bytes]
    return [data for child in artifact.children for data in documents_of(child)] + [artifact.manifest_bytes]


def layers_to_write(artifact: Image | Index, leave_out: Collection[Digest] = ()) -> list[Layer]:
    """The layers whose bytes are to be written, each digest once, in the order of the images."""
    layers: dict[Digest, Layer] = {}
    for image in images_of(artifact):
        for layer in image.layers:
            digest = layer.descriptor.digest
            if digest not in leave_out and not is_foreign(layer.descriptor.media_type):
                layers.setdefault(digest, layer)
    return list(layers.values())


def with_tags(old: bytes | None, artifact: Image | Index, tags: Sequence[str]) -> bytes:
    """An `index.json` that lists the artifact last; what else was in the old one stays, unknown members included."""
    empty: dict[str, object] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    index = empty if old is None else document(old, "index.json", limit=MAX_MANIFEST_BYTES)
    listed = index.get("manifests")
    kept = [entry for entry in listed if not _replaced(entry, artifact, tags)] if isinstance(listed, list) else []
    descriptor: dict[str, object] = document(encode(_listed(artifact)), "descriptor", limit=MAX_MANIFEST_BYTES)
    for tag in tags or [""]:
        named = {"annotations": {REF_NAME: tag}} if tag else {}
        kept.append({**descriptor, **named})
    index["manifests"] = kept
    try:
        data = encode(index)
    except RecursionError as error:
        raise Malformed("index.json", "nested too deeply") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise HostError("the layout's index.json would be too long", hint="Start a new layout.")
    return data


def _listed(artifact: Image | Index) -> Descriptor:
    """The descriptor for a listing: an image's has its platform."""
    import msgspec

    descriptor = artifact.descriptor
    if isinstance(artifact, Image) and is_runnable(artifact):
        return msgspec.structs.replace(descriptor, platform=artifact.platform)
    return descriptor


def _replaced(entry: object, artifact: Image | Index, tags: Sequence[str]) -> bool:
    """Whether a listed descriptor gives way: it has one of the tags, or is the same and has no tag."""
    if not isinstance(entry, dict):
        return False
    annotations = entry.get("annotations")
    name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    return name in tags if name else entry.get("digest") == artifact.digest
