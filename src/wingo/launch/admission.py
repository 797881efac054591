"""A hook's word in a start: what it is told, and what its answers do. Pure; `hooks/run.py` asks the script."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wingo.errors import RequestError, TrustError
from wingo.launch.policy import Policy
from wingo.launch.spec import RunSpec

_MAX_LABELS = 100
_MAX_TEXT = 4096


class Admission(msgspec.Struct, frozen=True):
    """What came of a hook's answers.

    Attributes:
        spec: with the variables that it added.
        labels: what it wrote on the container.
    """

    spec: RunSpec
    labels: dict[str, str]


def event_of(
    spec: RunSpec, policy: Policy, reference: str, digest: str, labels: Mapping[str, str]
) -> dict[str, object]:
    """What a hook is told of a start: everything but the values of variables, which may be secret.

    Args:
        spec: what is to run.
        policy: the role's.
        reference: the image's place, as written.
        digest: of its manifest.
        labels: the image's.
    """
    return {
        "role": policy.role,
        "name": spec.name,
        "image": {"reference": reference, "digest": digest, "platform": str(spec.platform), "labels": dict(labels)},
        "argv": list(spec.argv),
        "env": sorted(item.partition("=")[0] for item in spec.env),
        "cwd": spec.cwd,
        "user": spec.user,
        "network": spec.network.value,
        "readOnly": spec.read_only,
        "detach": spec.detach,
        "ports": [{"port": port.port, "protocol": port.protocol, "address": port.host_address} for port in spec.ports],
        "mounts": [
            {"source": mount.source, "target": mount.target, "readOnly": mount.read_only} for mount in spec.mounts
        ],
        "limits": msgspec.to_builtins(spec.limits),
    }


def apply_answers(answers: Mapping[str, object], spec: RunSpec, hook: str) -> Admission:
    """What a start becomes by a hook's answers.

    Args:
        answers: by the functions' names.
        spec: as it was asked for.
        hook: the script's name, for messages.

    Raises:
        TrustError: `admit` says no.
        RequestError: an answer has another shape than it may have.
    """
    if "admit" in answers:
        _admit(answers["admit"], hook)
    changes = answers.get("transform")
    if changes is None:
        return Admission(spec, {})
    if not isinstance(changes, dict) or {*changes} - {"env", "labels"}:
        raise RequestError(
            f"the hook {hook}: transform may answer with env and labels alone", hint="{ env: { A: 'b' } }"
        )
    env, labels = (_texts(changes.get(name), name, hook) for name in ("env", "labels"))
    merged = {item.partition("=")[0]: item for item in spec.env}
    merged |= {name: f"{name}={value}" for name, value in env.items()}
    return Admission(msgspec.structs.replace(spec, env=tuple(merged.values())), labels)


def _admit(answer: object, hook: str) -> None:
    allowed, reason = answer is True, ""
    if isinstance(answer, str):
        reason = answer
    elif isinstance(answer, dict):
        allowed, reason = answer.get("allow") is True, str(answer.get("reason") or "")
    if not allowed:
        said = reason[:500] or "it did not say why"
        raise TrustError(f"the hook {hook} does not admit this: {said}", hint="Ask whoever wrote the hook.")


def _texts(value: object, what: str, hook: str) -> dict[str, str]:
    if value is None:
        return {}
    plain = isinstance(value, dict) and all(
        isinstance(key, str) and isinstance(item, str) for key, item in value.items()
    )
    if not plain or not isinstance(value, dict) or len(value) > _MAX_LABELS:
        raise RequestError(f"the hook {hook}: {what} is no object of at most {_MAX_LABELS} texts")
    for key, item in value.items():
        if not key or "=" in key or "\0" in key + item or len(key) + len(item) > _MAX_TEXT:
            raise RequestError(f"the hook {hook}: {what} has {key[:80]!r}, which cannot be")
    return dict(value)
