"""What an index says of its images (image-spec `image-index.md`; containerd `core/images`, platforms)."""

from __future__ import annotations

from collections.abc import Iterator

from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, artifact_rule
from wingo.check.subject import ArtifactSubject, ImageSubject
from wingo.image.model import Index
from wingo.oci.descriptor import Descriptor
from wingo.oci.manifest import is_known
from wingo.oci.media_types import family_of
from wingo.oci.platform import Platform
from wingo.windows.osversion import index_order

_ATTESTATION = "vnd.docker.reference.type"


def entries_of(subject: ArtifactSubject) -> Iterator[tuple[Descriptor, ImageSubject | None]]:
    """What an index lists, attestations left out, with the image where it is at hand."""
    if isinstance(subject.artifact, Index):
        for entry in subject.artifact.manifest.manifests:
            if _ATTESTATION not in entry.annotations:
                yield entry, subject.by_digest.get(entry.digest)


def _named(entry: Descriptor) -> str:
    return str(entry.platform) if entry.platform is not None else entry.digest[:19]


@artifact_rule("WGO180", Severity.ERROR, Group.INDEX)
def platforms_listed(subject: ArtifactSubject) -> Iterator[Problem]:
    """Each entry of an index has the platform of its image.

    Why:
        A runtime picks by what the index says and runs what the config says. Without a platform, containerd reads the
        config of every image (`core/images/image.go`), and others pick nothing.

    Example:
        An entry for amd64 whose image is for arm64.
    Mend:
        Copy os, architecture and variant from the image's config.
    """
    for entry, image in entries_of(subject):
        if not is_known(entry.media_type) or (image is None and entry.platform is not None):
            continue
        if entry.platform is None or not entry.platform.os or not entry.platform.architecture:
            yield Problem(
                message=f"the entry {entry.digest[:19]} of the index has no platform",
                hint="Write os and architecture as its config has them.",
                platforms=(str(image.image.platform),) if image is not None else (),
            )
            continue
        assert image is not None
        said, real = entry.platform, image.image.platform
        for field in ("os", "architecture", "variant"):
            if getattr(said, field) != getattr(real, field) and not (field == "variant" and _same_variant(said, real)):
                yield Problem(
                    message=f"the index says {field} {getattr(said, field) or 'none'}, the config {getattr(real, field) or 'none'}",
                    hint="Copy it from the config.",
                    platforms=(str(said),),
                )


def _same_variant(said: Platform, real: Platform) -> bool:
    default = {"arm64": "v8", "arm": "v7", "amd64": "v1"}.get(real.architecture, "")
    return (said.variant or default) == (real.variant or default)


@artifact_rule("WGO181", Severity.ERROR, Group.INDEX)
def os_versions_listed(subject: ArtifactSubject) -> Iterator[Problem]:
    """Each entry of an index has the os.version of its image.

    Why:
        Hosts pick by the index's os.version; an entry without one fits every host, so that the first is taken and does
        not start (azuredisk-csi-driver#519).

    Example:
        `docker manifest create` without `docker manifest annotate --os-version`.
    Mend:
        Copy os.version from the image's config.
    """
    for entry, image in entries_of(subject):
        if entry.platform is None or image is None:
            continue
        said, real = entry.platform.os_version, image.config.os_version
        if said == real:
            continue
        revision_only = said.split(".")[:3] == real.split(".")[:3]
        yield Problem(
            message=f"the index says os.version {said or 'none'}, the config {real or 'none'}",
            hint="Copy it from the config.",
            severity=Severity.WARNING if revision_only else None,
            platforms=(str(image.image.platform),),
        )


@artifact_rule("WGO182", Severity.WARNING, Group.INDEX)
def os_features_listed(subject: ArtifactSubject) -> Iterator[Problem]:
    """Each entry of an index has the os.features of its image.

    Why:
        They say what the image needs of a host, and are looked at before the image is.

    Example:
        An index over servercore images without `win32k`.
    Mend:
        Copy os.features from the image's config.
    """
    for entry, image in entries_of(subject):
        if entry.platform is None or image is None:
            continue
        said, real = entry.platform.os_features, tuple(image.config.os_features or ())
        if said != real:
            yield Problem(
                message=f"the index says os.features {', '.join(said) or 'none'}, the config {', '.join(real) or 'none'}",
                hint="Copy them from the config.",
                platforms=(str(image.image.platform),),
            )


@artifact_rule("WGO183", Severity.WARNING, Group.INDEX)
def newest_first(subject: ArtifactSubject) -> Iterator[Problem]:
    """An index lists newer Windows versions before older ones.

    Why:
        containerd before 2.2 takes the first entry that fits, not the newest (containerd#11366): with the oldest first, a
        new host runs an old Windows.

    Example:
        ltsc2019, ltsc2022, ltsc2025, in the order in which they were built.
    Mend:
        Write the newest first; wingo does.
    """
    last: dict[str, Platform] = {}
    for entry, _ in entries_of(subject):
        platform = entry.platform
        if platform is None or platform.os != "windows":
            continue
        before = last.get(platform.architecture)
        if before is not None and index_order(platform) < index_order(before):
            yield Problem(
                message=f"{platform} comes after {before}, which is older or fits every host",
                hint="List the newest os.version first.",
                platforms=(str(platform),),
            )
        last[platform.architecture] = platform


@artifact_rule("WGO184", Severity.ERROR, Group.INDEX)
def platforms_differ(subject: ArtifactSubject) -> Iterator[Problem]:
    """No two entries of an index are for one platform.

    Why:
        Nobody could say which one is meant: some readers take the first, some the last.

    Example:
        Two images for windows/amd64:10.0.20348.2849, from two pushes that were put together.
    Mend:
        Keep one of them.
    """
    seen: dict[Platform, Descriptor] = {}
    for entry, _ in entries_of(subject):
        if entry.platform is None:
            continue
        platform = Platform(
            entry.platform.os, entry.platform.architecture, entry.platform.os_version, (), entry.platform.variant
        )
        if platform in seen and entry.platform.os != "unknown":
            yield Problem(
                message=f"two entries of the index are for {platform}",
                hint=f"Keep one of {seen[platform].digest[:19]} and {entry.digest[:19]}.",
                platforms=(str(platform),),
            )
        seen.setdefault(platform, entry)


@artifact_rule("WGO185", Severity.WARNING, Group.INDEX)
def index_of_one_family(subject: ArtifactSubject) -> Iterator[Problem]:
    """An index and its images are all of OCI's types, or all of Docker's.

    Why:
        Some registries refuse an OCI index over Docker's manifests, and the other way round.

    Example:
        A Docker manifest list over images of a tool that writes OCI.
    Mend:
        Write them in one vocabulary.
    """
    family = family_of(subject.artifact.media_type)
    for entry, _ in entries_of(subject):
        if is_known(entry.media_type) and family_of(entry.media_type) is not family:
            yield Problem(
                message=f"the index is of the type {subject.artifact.media_type}, its entry {_named(entry)} of {entry.media_type}",
                hint="Write them in one vocabulary.",
                platforms=(_named(entry),),
            )


@artifact_rule("WGO186", Severity.NOTE, Group.INDEX)
def one_application_layer(subject: ArtifactSubject) -> Iterator[Problem]:
    """Every Windows version of an index has the same application layer.

    Why:
        The program is the same for each: with one layer for all, a push sends it once and a registry keeps it once. Layers
        that are packed apart differ by their times, and are sent and kept for each version.

    Example:
        buildx builds each os.version by itself.
    Mend:
        Build all versions at once; wingo packs one layer for all.
    """
    groups: dict[tuple[str, str], dict[str, int]] = {}
    for image in subject.images:
        own = image.image.manifest.layers[image.base_layers :]
        if image.os == "windows" and image.base_layers and own:
            # The largest: what changes the registry is another layer for each base.
            largest = max(own, key=lambda layer: layer.size)
            groups.setdefault((image.os, image.config.architecture), {})[largest.digest] = largest.size
    for (os, architecture), sets in groups.items():
        if len(sets) > 1 and max(sets.values()) * 10 <= min(sets.values()) * 11:
            yield Problem(
                message=f"the images for {os}/{architecture} have {len(sets)} different application layers of nearly one size",
                hint="Build all Windows versions at once.",
                win=sum(sets.values()) - max(sets.values()),
            )


@artifact_rule("WGO187", Severity.WARNING, Group.INDEX)
def something_to_run(subject: ArtifactSubject) -> Iterator[Problem]:
    """There is an image to run.

    Why:
        Manifests can describe charts, signatures and other things too; their config is then of another type, and no
        runtime starts them.

    Example:
        A manifest whose `config` names a layer.
    Mend:
        Name the image itself; or give the config the type of an image config.
    """
    if not subject.images:
        yield Problem(
            message=f"{subject.artifact.digest[:19]} has no container image in it: its config is of another type",
            hint="Name the place of an image.",
        )
