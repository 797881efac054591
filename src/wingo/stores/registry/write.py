"""Writes images and indexes: blobs, configs, child manifests, the index, what refers to it, and the tag last.

An interrupted push leaves blobs that the next one finds, and never a tag whose blobs are missing.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from wingo.errors import RequestError
from wingo.image.model import Image, Index, images_of
from wingo.image.progress import NO_PROGRESS
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest
from wingo.oci.media_types import is_foreign
from wingo.stores.parallel import each
from wingo.stores.registry.api import Repository
from wingo.stores.registry.faults import Refusal
from wingo.stores.registry.referrers import note_referrer
from wingo.stores.registry.upload import DEFAULT_PIECES, Pieces, Upload

if TYPE_CHECKING:
    from typing import BinaryIO

    from wingo.image.model import Opener
    from wingo.image.progress import Progress
    from wingo.stores.registry.presence import Presence

_TOLD_BYTES = 1 << 16
"""Smaller blobs are not worth a line of progress."""
_MISSING_BLOB = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})


class Push(msgspec.Struct, frozen=True):
    """One thing to be written.

    Attributes:
        repository: where to.
        artifact: what.
        tags: its names there; none: by digest alone.
        referrers: what is attached to it, written before the tags.
    """

    repository: Repository
    artifact: Image | Index
    tags: tuple[str, ...] = ()
    referrers: tuple[Image | Index, ...] = ()


class _Plan(msgspec.Struct, frozen=True):
    """What is left to do of a push; `there`: the artifact itself is in the repository, with all that it names."""

    push: Push
    there: bool
    tags: tuple[str, ...]
    referrers: tuple[Image | Index, ...]

    @property
    def artifacts(self) -> tuple[Image | Index, ...]:
        """What has to be sent."""
        return self.referrers if self.there else (self.push.artifact, *self.referrers)


class _Blob(msgspec.Struct, frozen=True):
    """One blob and every repository of one registry that needs it."""

    digest: Digest
    size: int
    open: Opener
    repositories: tuple[Repository, ...]


class Writer:
    """Writes several things at once; what they have in common is asked for and sent once."""

    def __init__(
        self,
        *,
        presence: Presence,
        jobs: int,
        progress: Progress,
        push_foreign: bool = False,
        pieces: Pieces = DEFAULT_PIECES,
    ) -> None:
        """Takes what is needed.

        Args:
            presence: what is known to be where, and learns what is put there.
            jobs: requests at once.
            progress: told of layers.
            push_foreign: whether layers that are kept elsewhere are sent too.
            pieces: how large blobs are cut.
        """
        self._presence = presence
        self._jobs = jobs
        self._progress = progress
        self._push_foreign = push_foreign
        self._pieces = pieces

    def write(self, pushes: Sequence[Push]) -> None:
        """Writes everything; see the module for the order.

        Args:
            pushes: each artifact at most once for each repository.

        Raises:
            RequestError: an index names children that are neither at hand nor in the repository.
            RemoteError: a registry refuses.
        """
        plans = self._plans(pushes)
        if plans:
            try:
                self._send(plans)
            except Refusal as error:
                if _MISSING_BLOB.isdisjoint(error.codes):
                    raise
                # Something that was there has been cleared away since it was seen: ask anew for each.
                for blob in self._blobs(plans):
                    for repository in blob.repositories:
                        self._presence.forget(repository.registry.name, repository.path, blob.digest)
                self._send(plans)

    def _plans(self, pushes: Sequence[Push]) -> list[_Plan]:
        """What is left to do: nothing for a push whose every tag stands for its artifact already."""
        asked = [(push, tag) for push in pushes for tag in push.tags]
        right = each(self._jobs, lambda pair: _stands_for(pair[0].repository, pair[1], pair[0].artifact.digest), asked)
        left: dict[int, list[str]] = {}
        for (push, tag), stands in zip(asked, right, strict=True):
            if not stands:
                left.setdefault(id(push), []).append(tag)
        planned = each(self._jobs, lambda push: _plan(push, tuple(left.get(id(push), ()))), pushes)
        return [plan for plan in planned if plan is not None]

    def _send(self, plans: Sequence[_Plan]) -> None:
        # The largest first: the small ones fill the gaps behind it.
        each(self._jobs, self._send_blob, sorted(self._blobs(plans), key=lambda blob: -blob.size))
        children = {
            (plan.push.repository.name, image.digest): (plan, image) for plan in plans for image in _children(plan)
        }
        each(self._jobs, lambda job: _put(*job), children.values())
        each(self._jobs, self._finish, plans)

    def _finish(self, plan: _Plan) -> None:
        """What must not be there before its parts: nested indexes, the artifact, what refers to it, the tags."""
        push = plan.push
        tags = list(plan.tags)
        if not plan.there:
            for index in _nested(push.artifact):
                _put(plan, index)
            if tags and not plan.referrers and push.artifact.manifest.subject is None:
                _put(plan, push.artifact, tags.pop(0))  # it is there under its digest too
            else:
                _put(plan, push.artifact)
        for referrer in plan.referrers:
            for nested in _nested(referrer):
                _put(plan, nested)
            _put(plan, referrer)
        for tag in tags:
            _put(plan, push.artifact, tag)

    def _blobs(self, plans: Sequence[_Plan]) -> list[_Blob]:
        """Every blob once per registry, with the repositories that need it."""
        found: dict[tuple[str, Digest], _Blob] = {}
        for plan in plans:
            repository = plan.push.repository
            for artifact in plan.artifacts:
                for image in images_of(artifact):
                    for descriptor, open_blob in self._blobs_of(image):
                        key = repository.registry.name, descriptor.digest
                        blob = found.get(key) or _Blob(descriptor.digest, descriptor.size, open_blob, ())
                        if all(known.path != repository.path for known in blob.repositories):
                            blob = msgspec.structs.replace(blob, repositories=(*blob.repositories, repository))
                        found[key] = blob
        return list(found.values())

    def _blobs_of(self, image: Image) -> Iterator[tuple[Descriptor, Opener]]:
        config = image.config_bytes
        yield image.manifest.config, lambda: cast("BinaryIO", io.BytesIO(config))
        for layer in image.layers:
            if self._push_foreign or not is_foreign(layer.descriptor.media_type):
                yield layer.descriptor, layer.open

    def _send_blob(self, blob: _Blob) -> None:
        """Gets a blob into its repositories, one after another: the second one mounts it from the first."""
        for repository in blob.repositories:
            self._send_to(repository, blob)

    def _send_to(self, repository: Repository, blob: _Blob) -> None:
        place = repository.registry.name, repository.path
        if self._presence.has(*place, blob.digest):
            return
        task = (self._progress if blob.size >= _TOLD_BYTES else NO_PROGRESS).start(
            f"layer {blob.digest[:19]} to {repository.name}", blob.size
        )
        if repository.has_blob(blob.digest):
            task.done("already there")
        else:
            source = self._presence.elsewhere(*place, blob.digest)
            upload = Upload(repository, blob.digest, blob.size, blob.open, task, self._pieces)
            task.done(f"mounted from {source}" if upload.run(source) else "")
        self._presence.add(*place, blob.digest)


def _plan(push: Push, tags: tuple[str, ...]) -> _Plan | None:
    """What is left of a push of which these tags do not stand for the artifact yet."""
    digest, repository = push.artifact.digest, push.repository
    referrers = tuple(item for item in push.referrers if not _stands_for(repository, item.digest, item.digest))
    if push.tags and not tags and not referrers:
        return None
    there = len(tags) < len(push.tags) or _stands_for(repository, digest, digest)
    if there and not tags and not referrers:
        return None
    if not there:
        _check_complete(push)
    return _Plan(push, there, tags, referrers)


def _check_complete(push: Push) -> None:
    """Refuses an index with children that nobody has, before anything is sent."""
    for index in _indexes(push.artifact):
        at_hand = {child.digest for child in index.children}
        for entry in index.manifest.manifests:
            if entry.digest not in at_hand and not _stands_for(push.repository, entry.digest, entry.digest):
                raise RequestError(
                    f"the index {index.digest} names {entry.digest} ({entry.platform or entry.media_type}), which was "
                    f"not read and is not in {push.repository.name}",
                    hint="Take all of its platforms, or make a new index of those that you want.",
                )


def _stands_for(repository: Repository, target: str, digest: Digest) -> bool:
    found = repository.head_manifest(target)
    return found is not None and found.digest == digest


def _put(plan: _Plan, artifact: Image | Index, tag: str = "") -> None:
    repository = plan.push.repository
    target = tag or artifact.digest
    try:
        noted = repository.put_manifest(target, artifact.manifest_bytes, artifact.media_type)
    except Refusal as error:
        if isinstance(artifact, Image) and any(is_foreign(layer.media_type) for layer in artifact.manifest.layers):
            # distribution allows no addresses unless it is told which (validation.manifests.urls), and says "unknown error".
            error.hint = (
                "The image has layers that are kept elsewhere, which this registry may not take; send them along."
            )
        raise
    if artifact.manifest.subject is not None and not noted:
        note_referrer(repository, artifact)


def _indexes(artifact: Image | Index) -> Iterator[Index]:
    """Every index, innermost first, itself last."""
    if isinstance(artifact, Index):
        for child in artifact.children:
            yield from _indexes(child)
        yield artifact


def _nested(artifact: Image | Index) -> Iterator[Index]:
    """The indexes below it, innermost first."""
    return (index for index in _indexes(artifact) if index is not artifact)


def _children(plan: _Plan) -> list[Image]:
    """The images below what has to be sent, each once."""
    below = {
        image.digest: image for artifact in plan.artifacts for image in images_of(artifact) if image is not artifact
    }
    return list(below.values())
