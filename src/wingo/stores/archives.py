"""`OciArchive` and `DockerArchive`: an image in one tar file, read in place and written whole or not at all.

`oci-archive:` is the tar of an image layout. `docker-archive:` is what `docker save` writes and `docker load` reads
(moby `image/tarexport`, containerd `core/images/archive/importer.go`, go-containerregistry `pkg/v1/tarball`).
"""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from wingo.archive.entry import Content
from wingo.archive.streams import Stream
from wingo.errors import ContentError, DigestMismatch, Malformed, RequestError
from wingo.image.derive import make_index
from wingo.image.model import Image, Index, Layer, Opener, images_of
from wingo.image.progress import NO_PROGRESS, Progress, Task
from wingo.oci.config import decode_config
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, encoded_of, sha256_digest
from wingo.oci.manifest import Manifest, decode_index
from wingo.oci.media_types import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    is_foreign,
)
from wingo.oci.wire import MAX_CHILDREN, MAX_CONFIG_BYTES, MAX_LAYERS, MAX_MANIFEST_BYTES, decode, encode
from wingo.stores.layout import (
    MARKER,
    check_complete,
    check_marker,
    check_tag,
    documents_of,
    find_tagged,
    layers_to_write,
    with_tags,
)
from wingo.stores.reading import Wanted, everything, is_runnable, read_artifact
from wingo.stores.tar_files import TarFile, write_tar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_MAX_MARKER_BYTES = 4096


class OciArchive:
    """The tar of an image layout."""

    def __init__(self, path: str, tag: str = "", *, progress: Progress = NO_PROGRESS) -> None:
        """Takes a place.

        Args:
            path: of the file.
            tag: what is read; "": the only image that is there.
            progress: is told of the layers that are copied.
        """
        self.path = path
        self.tag = tag
        self._progress = progress

    def read(self, wanted: Wanted = everything) -> Image | Index:
        """Reads the image or index of the tag; documents only.

        Raises:
            RequestError: there is no such file, it is no layout's tar, or has no such tag.
            ContentError: a document is damaged or missing.
            HostError: the file cannot be read.
        """
        files = TarFile(self.path)
        marker = files.read("oci-layout", _MAX_MARKER_BYTES)
        index = files.read("index.json", MAX_MANIFEST_BYTES)
        if marker is None or index is None:
            raise RequestError(
                f"{self.path} is no OCI archive: it has no {'index.json' if marker else 'oci-layout'}",
                hint="Is it a docker-archive?" if files.has("manifest.json") else "",
            )
        check_marker(marker)
        descriptor = find_tagged(decode_index(index).manifests, self.tag, f"oci-archive:{self.path}")

        def document(descriptor: Descriptor, limit: int) -> bytes:
            data = files.read(_blob_name(descriptor.digest), limit)
            if data is None:
                raise ContentError(f"{self.path} lacks {descriptor.digest}, which it lists")
            return data

        def open_layer(descriptor: Descriptor) -> Opener:
            return partial(files.open, _blob_name(descriptor.digest), descriptor)

        return read_artifact(descriptor, document, open_layer, wanted)

    def write(
        self, artifact: Image | Index, tags: Sequence[str] = (), *, leave_out: Collection[Digest] = ()
    ) -> Descriptor:
        """Writes an image or index in the place of the file; the bytes depend on the arguments alone.

        Args:
            artifact: what to write.
            tags: its names.
            leave_out: layers, by digest, whose bytes are not written (a thin archive);
                non-distributable ones never are.

        Returns:
            The descriptor of the image or index.

        Raises:
            RequestError: a tag that no layout can have, or an index that is not at hand as a whole.
            HostError: it cannot be written; the file that was there before is as it was.
        """
        for tag in tags:
            check_tag(tag)
        check_complete(artifact)
        files = {"oci-layout": _bytes(MARKER), "index.json": _bytes(with_tags(None, artifact, tags))}
        for data in documents_of(artifact):
            files[_blob_name(sha256_digest(data))] = _bytes(data)
        for layer in layers_to_write(artifact, leave_out):
            files[_blob_name(layer.descriptor.digest)] = _stored(layer, self._progress)
        write_tar(self.path, files)
        return artifact.descriptor


class _Saved(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """One image of a docker-archive's `manifest.json`."""

    config: str
    repo_tags: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None
    layer_sources: dict[str, Descriptor] | None = None


class DockerArchive:
    """What `docker save` writes and `docker load` reads: images without manifests, each with its names."""

    def __init__(self, path: str, tag: str = "", *, progress: Progress = NO_PROGRESS) -> None:
        """Takes a place.

        Args:
            path: of the file.
            tag: the image to read, as `name:tag`; "": all of them.
            progress: is told of the layers that are copied.
        """
        self.path = path
        self.tag = tag
        self._progress = progress

    def read(self, wanted: Wanted = everything) -> Image | Index:
        """Reads the image of that name, or the only one, or an index of all.

        The manifests are made here, as the format has none; layers are hashed once to know their digests.

        Raises:
            RequestError: there is no such file, it is no docker-archive, has no such name, or several images for one
                platform and no name says which.
            ContentError: something in it is damaged or missing.
            HostError: the file cannot be read.
        """
        files = TarFile(self.path)
        data = files.read("manifest.json", MAX_MANIFEST_BYTES)
        if data is None:
            raise RequestError(
                f"{self.path} is no docker-archive: it has no manifest.json",
                hint="Is it an oci-archive?" if files.has("index.json") else "",
            )
        saved = decode(data, tuple[_Saved, ...], "manifest.json", limit=MAX_MANIFEST_BYTES)
        if len(saved) > MAX_CHILDREN:
            raise Malformed("manifest.json", f"{len(saved)} images, more than {MAX_CHILDREN}")
        names = [name for item in saved for name in item.repo_tags or ()]
        hint = f"It has {', '.join(names[:20])}." if names else ""
        chosen = [item for item in saved if not self.tag or _is_named(self.tag, item.repo_tags or ())]
        if not chosen:
            what = f"no image called {self.tag!r}" if self.tag else "no images"
            raise RequestError(f"docker-archive:{self.path} has {what}", hint=hint)
        images = [self._image(files, item) for item in chosen]
        if len({image.digest for image in images}) == 1:
            return images[0]
        try:
            index = make_index(images)
        except RequestError as error:
            raise RequestError(f"docker-archive:{self.path}: {error}", hint=hint) from error
        children = zip(images, index.manifest.manifests, strict=True)
        kept = tuple(image for image, descriptor in children if wanted(descriptor))
        return Index(index.manifest_bytes, index.media_type, kept)

    def write(
        self,
        artifact: Image | Index,
        tags: Sequence[str] = (),
        *,
        tags_of: Mapping[Digest, Sequence[str]] | None = None,
        leave_out: Collection[Digest] = (),
    ) -> Descriptor:
        """Writes an image, or every image of an index, in the place of the file.

        Args:
            artifact: what to write; attestations and other artifacts that are no images are passed over.
            tags: names as `name:tag` or `name`, which means `name:latest`. Several images cannot share one: each gets its platform appended, for instance
                `app:v1-windows-amd64-10.0.20348.2849`.
            tags_of: the names of each image, by its digest, in place of `tags` with the platform.
            leave_out: layers, by digest, whose bytes are not written; Docker must have them to load the file.
                Non-distributable ones are written, as Docker does not load the file without.

        Returns:
            The descriptor of the image or index, which Docker will not know.

        Raises:
            RequestError: a name that Docker does not take, or an index without images.
            HostError: it cannot be written; the file that was there before is as it was.
        """
        images = [image for image in images_of(artifact) if is_runnable(image)]
        if not images:
            raise RequestError(f"there is no image in {artifact.digest}")
        files: dict[str, Content] = {}
        saved = []
        for image in images:
            names = tags_of.get(image.digest, ()) if tags_of is not None else platform_tags(tags, image, images)
            saved.append(_saved(image, tuple(_full_name(name) for name in names), leave_out))
            files[saved[-1].config] = _bytes(image.config_bytes)
            for layer in image.layers:
                if layer.descriptor.digest not in leave_out:
                    files[_layer_name(layer)] = _stored(layer, self._progress)
        files["manifest.json"] = _bytes(encode(saved))
        write_tar(self.path, files)
        return artifact.descriptor

    def _image(self, files: TarFile, saved: _Saved) -> Image:
        config_bytes = files.read(saved.config, MAX_CONFIG_BYTES)
        if config_bytes is None:
            raise Malformed("docker-archive", f"{self.path} lacks the config {saved.config[:200]!r}")
        diff_ids = decode_config(config_bytes).diff_ids
        names = saved.layers or ()
        if len(names) != len(diff_ids) or len(names) > MAX_LAYERS:
            raise Malformed("docker-archive", f"{len(names)} layers, and the config has {len(diff_ids)} diff_ids")
        sources = saved.layer_sources or {}
        layers = tuple(
            self._layer(files, name, diff_id, sources.get(diff_id))
            for name, diff_id in zip(names, diff_ids, strict=True)
        )
        manifest = Manifest(
            schema_version=2,
            media_type=OCI_MANIFEST,
            config=Descriptor(OCI_CONFIG, sha256_digest(config_bytes), len(config_bytes)),
            layers=tuple(layer.descriptor for layer in layers),
        )
        return Image(encode(manifest), OCI_MANIFEST, config_bytes, layers)

    def _layer(self, files: TarFile, name: str, diff_id: Digest, source: Descriptor | None) -> Layer:
        if not files.has(name):
            if source is None:
                raise Malformed("docker-archive", f"{self.path} lacks the layer {name[:200]!r}")
            return Layer(source, diff_id, partial(files.open, name, source))
        descriptor = files.describe(name)
        if descriptor.media_type == OCI_LAYER and descriptor.digest != diff_id:
            raise DigestMismatch(f"the layer {name} of {self.path}", diff_id, descriptor.digest)
        if source is not None and source.digest == descriptor.digest:
            descriptor = source
        return Layer(descriptor, diff_id, partial(files.open, name, descriptor))


def platform_tags(tags: Sequence[str], image: Image, images: Sequence[Image]) -> tuple[str, ...]:
    """Names for one of several images: the platform is appended to the tag; a lone image keeps the names."""
    if len({item.digest for item in images}) == 1:
        return tuple(tags)
    platform = image.platform
    parts = (platform.os, platform.architecture, platform.variant, platform.os_version)
    suffix = "-".join(part for part in parts if part)
    named = (tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest" for tag in tags)
    return tuple(f"{tag}-{suffix}" for tag in named)


def _full_name(name: str) -> str:
    """The name with its tag, `latest` when it has none, as Docker has it."""
    from wingo.oci.reference import parse_reference

    reference = parse_reference(name)
    if reference.digest:
        raise RequestError(f"{name!r} is no name for an image in a docker-archive", hint="Write NAME:TAG.")
    return name if reference.tag else f"{name}:latest"


def _is_named(wanted: str, names: Sequence[str]) -> bool:
    from wingo.oci.reference import parse_reference

    if wanted in names:
        return True
    try:
        full = parse_reference(wanted, default_tag="latest")
        return any(parse_reference(name, default_tag="latest") == full for name in names)
    except RequestError:
        return False


def _saved(image: Image, names: tuple[str, ...], leave_out: Collection[Digest]) -> _Saved:
    # Of a layer that is not in the file, this is all that a reader learns.
    elsewhere = {
        layer.diff_id: layer.descriptor
        for layer in image.layers
        if is_foreign(layer.descriptor.media_type) or layer.descriptor.digest in leave_out
    }
    return _Saved(
        config=f"{encoded_of(sha256_digest(image.config_bytes))}.json",
        repo_tags=names,
        layers=tuple(_layer_name(layer) for layer in image.layers),
        layer_sources=cast("dict[str, Descriptor]", elsewhere) or None,
    )


def _layer_name(layer: Layer) -> str:
    # Docker looks at the bytes; other readers want gzip under this name (go-containerregistry pkg/v1/tarball).
    ending = ".tar.gz" if "gzip" in layer.descriptor.media_type else ".tar"
    return encoded_of(layer.descriptor.digest) + ending


def _blob_name(digest: Digest) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _bytes(data: bytes) -> Content:
    return Content(len(data), lambda: io.BytesIO(data), "a document")


def _stored(layer: Layer, progress: Progress) -> Content:
    descriptor = layer.descriptor

    def open_layer() -> BinaryIO:
        task = progress.start(f"layer {descriptor.digest[:19]}", descriptor.size)
        return cast("BinaryIO", _Reported(layer.open(), task))

    return Content(descriptor.size, open_layer, f"the layer {descriptor.digest}")


class _Reported(Stream):
    def __init__(self, stream: BinaryIO, task: Task) -> None:
        super().__init__()
        self._stream = stream
        self._task = task

    def some(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._task.advance(len(data))
        return data

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._task.done()
        super().close()
