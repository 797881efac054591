"""What the hosts that are named would take (`wingo.windows.hosts`)."""

from __future__ import annotations

from collections.abc import Iterator

from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, artifact_rule
from wingo.check.rules.index import entries_of
from wingo.check.subject import ArtifactSubject
from wingo.image.model import Index
from wingo.oci.platform import Platform
from wingo.windows.hosts import HostProfile, Pick, describe, picks
from wingo.windows.osversion import matches


def candidates_of(subject: ArtifactSubject) -> list[Platform]:
    """The platforms that a runtime chooses from, in the index's order; of an entry without one, its config's."""
    if not isinstance(subject.artifact, Index):
        return [image.image.platform for image in subject.images]
    said, read = [], []
    for entry, image in entries_of(subject):
        if entry.platform is not None and entry.platform.os and entry.platform.os != "unknown":
            said.append(entry.platform)
        elif image is not None:
            read.append(image.image.platform)
    # containerd sorts those without a platform behind the others (`core/images/image.go`).
    return [*said, *read]


def _each(subject: ArtifactSubject) -> Iterator[tuple[HostProfile, Pick, list[Platform]]]:
    candidates = candidates_of(subject)
    for host in subject.hosts:
        for pick in picks(candidates, host):
            yield host, pick, candidates


def _runtime(pick: Pick) -> str:
    return f"{pick.runtime.value} on " if pick.runtime is not None else ""


@artifact_rule("WGO801", Severity.ERROR, Group.HOSTS)
def hosts_find_an_image(subject: ArtifactSubject) -> Iterator[Problem]:
    """Every host that is named finds an image for itself.

    Why:
        The pull ends with "no match for platform in manifest" on a host for which the index has nothing, minutes or weeks
        after the push, and only on those nodes.

    Example:
        An index for ltsc2022 and ltsc2025, and a node pool of 10.0.17763, which runs its own build alone.
    Mend:
        Build for that host too: `wingo build --platform ltsc2019,ltsc2022,ltsc2025`.
    """
    if not isinstance(subject.artifact, Index):
        return  # a single manifest is pulled without looking: WGO802 tells what becomes of it
    told: set[tuple[str, tuple[str, ...]]] = set()
    for host, pick, candidates in _each(subject):
        if pick.taken is not None:
            continue
        reasons = tuple(
            dict.fromkeys(
                f"{candidate}: {reason}"
                for candidate, reason in zip(candidates, pick.why_not, strict=True)
                if candidate.os == host.platform.os
            )
        )
        if (host.name, reasons) in told:
            continue
        told.add((host.name, reasons))
        why = "; ".join(reasons[:4]) or f"there is no image for {host.platform.os}"
        if host.platform.os != "windows" and reasons:
            why = f"there is {', '.join(str(each) for each in candidates if each.os == host.platform.os)}"
        can = pick.best is not None
        yield Problem(
            message=f"{_runtime(pick)}{describe(host)} finds no image for itself ({why})",
            hint="Its kernel could run one of them: a newer runtime takes it."
            if can
            else f"Build for {host.platform} too.",
        )


@artifact_rule("WGO802", Severity.ERROR, Group.HOSTS)
def hosts_can_run_what_they_take(subject: ArtifactSubject) -> Iterator[Problem]:
    """No host takes an image that its kernel cannot run.

    Why:
        Docker's own store takes any build that is not newer than the host, and a single manifest is pulled without
        looking: the container then ends with "The container operating system does not match the host operating system"
        (0xc0370101). Hyper-V isolation would run an older build.

    Example:
        An image for ltsc2019 alone, on a node with Windows Server 2022.
    Mend:
        Build for that host too, or run it with Hyper-V isolation.
    """
    if not isinstance(subject.artifact, Index):
        yield from _single(subject)
        return
    for host, pick, candidates in _each(subject):
        if pick.taken is not None and not pick.starts:
            taken = candidates[pick.taken]
            yield Problem(
                message=f"{_runtime(pick)}{describe(host)} takes {taken}, which it can run with Hyper-V isolation alone",
                hint=f"Build for {host.platform} too.",
                platforms=(str(taken),),
            )


def _single(subject: ArtifactSubject) -> Iterator[Problem]:
    for host in subject.hosts:
        for platform in candidates_of(subject):
            fits = platform.os == host.platform.os and platform.architecture == host.platform.architecture
            if not fits or (platform.os == "windows" and not matches(platform.os_version, host.platform.os_version)):
                yield Problem(
                    message=f"{describe(host)} cannot run {platform}, and a single image is pulled without looking",
                    hint=f"Build for {host.platform} too.",
                    platforms=(str(platform),),
                )


@artifact_rule("WGO803", Severity.WARNING, Group.HOSTS)
def hosts_take_the_best(subject: ArtifactSubject) -> Iterator[Problem]:
    """Every host takes the newest image that it can run.

    Why:
        Older runtimes take the first entry of an index that fits, newer ones compare os.version as text: a host then runs
        an older Windows than it could, with older fixes, though the right one is there.

    Example:
        An index with ltsc2022 before ltsc2025: containerd 1.7 on a 10.0.26100 host takes ltsc2022.
    Mend:
        List the newest first.
    """
    for host, pick, candidates in _each(subject):
        if not pick.starts or pick.taken == pick.best:
            continue
        assert pick.taken is not None
        assert pick.best is not None
        taken, best = candidates[pick.taken], candidates[pick.best]
        yield Problem(
            message=f"{_runtime(pick)}{describe(host)} takes {taken}, though {best} is there",
            hint="List the newest os.version first.",
            platforms=(str(taken),),
        )
