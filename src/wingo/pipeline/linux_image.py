"""An application on Linux: its layers and its config, by the rules of `wingo.linux`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wingo.errors import RequestError
from wingo.linux.layer import plan_layer
from wingo.linux.requests import (
    DATA,
    LayerRequest,
    LinuxDirectory,
    LinuxFile,
    LinuxSymlink,
    parse_attributes,
)
from wingo.linux.users import DEFAULT_USER, NONROOT, Owner, owner_of_user
from wingo.oci.config import ContainerConfig
from wingo.pipeline.application import CREATED_BY, Application, PlannedLayer, has_drive, placed_items, placed_paths
from wingo.pipeline.content import Item, ItemKind

_SIGNAL = re.compile(
    r"(?:SIG)?(?:ABRT|ALRM|BUS|CHLD|CONT|FPE|HUP|ILL|INT|IO|KILL|PIPE|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|TRAP"
    r"|TSTP|TTIN|TTOU|URG|USR[12]|VTALRM|WINCH|XCPU|XFSZ|RTM(?:IN|AX)(?:[+-][0-9]{1,2})?)\Z|[1-9][0-9]?\Z",
    re.IGNORECASE,
)
"""As Docker reads it: a name, with SIG or without, or a number (moby/sys `signal`)."""
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def plan_linux_layer(application: Application) -> PlannedLayer:
    """The application layer.

    Raises:
        RequestError: see `wingo.linux.layer.plan_layer`.
    """
    items, notes = placed_items(application)
    requests: list[LayerRequest] = [
        LinuxFile(path=application.program, content=application.binary, executable=True, source="the program"),
        *(_request(item) for item in items),
        *(
            LinuxDirectory(path=path, attributes=DATA, source=f"--data-dir {path}")
            for path in placed_paths(application.settings.data_dir, "linux")
        ),
    ]
    service = _service(application.settings.user, requests)
    for path in (*application.settings.data_dir, *application.settings.volume, application.settings.workdir):
        if has_drive(path):
            notes.append(f"{path} has a drive letter and is left out on linux")
    planned = plan_layer(requests, epoch=application.epoch, created_by=CREATED_BY, service=service)
    return PlannedLayer(planned.recipe, (*notes, *planned.notes))


def _service(user: str, requests: Sequence[LayerRequest]) -> Owner:
    """Who owns what is data: the user that the program runs as. A name whose number only the base knows is an error
    only where something would belong to it.
    """
    if not user or not is_linux_user(user):
        return NONROOT
    described = (request for request in requests if isinstance(request, LinuxFile | LinuxDirectory))
    if not any(request.attributes.access == "data" and request.attributes.owner is None for request in described):
        return NONROOT
    return owner_of_user(user)


def _request(item: Item) -> LayerRequest:
    if item.kind is ItemKind.LINK:
        return LinuxSymlink(path=item.target, target=item.link_target, source=item.source)
    attributes = parse_attributes(item.attributes)
    if item.kind is ItemKind.DIRECTORY:
        return LinuxDirectory(path=item.target, attributes=attributes, source=item.source)
    assert item.content is not None
    return LinuxFile(
        path=item.target,
        content=item.content,
        attributes=attributes,
        executable=item.executable,
        source=item.source,
    )


def linux_settings(
    application: Application, base: ContainerConfig, *, has_base: bool
) -> tuple[dict[str, object], list[str]]:
    """The members of the config's `config` that the application changes, and notes.

    Raises:
        RequestError: a variable that Linux cannot have.
    """
    settings = application.settings
    changes = {**application.data_variables, **settings.env}
    members: dict[str, object] = {
        "env": _environment(base.env if has_base else (_PATH,), changes),
        "entrypoint": (application.program, *settings.arg),
        "cmd": None,
    }
    if settings.user and is_linux_user(settings.user):
        members["user"] = settings.user
    elif not has_base:
        members["user"] = DEFAULT_USER
    if workdirs := placed_paths((settings.workdir,) if settings.workdir else (), "linux"):
        members["working_dir"] = workdirs[0]
    elif not has_base:
        members["working_dir"] = "/"
    if volumes := placed_paths(settings.volume, "linux"):
        members["volumes"] = {**(base.volumes or {}), **{path: {} for path in volumes}}
    if settings.stop_signal:
        if not _SIGNAL.match(settings.stop_signal):
            raise RequestError(
                f"--stop-signal {settings.stop_signal[:80]!r} is not a signal", hint="Write for instance SIGTERM or 15."
            )
        members["stop_signal"] = settings.stop_signal
    return members, []


def is_linux_user(user: str) -> bool:
    r"""Whether a user can be meant for Linux: the accounts of Windows and `DOMAIN\NAME` cannot."""
    return "\\" not in user and user.lower() not in ("containeruser", "containeradministrator")


def _environment(base: tuple[str, ...] | None, changes: dict[str, str]) -> tuple[str, ...]:
    variables = dict(item.partition("=")[::2] for item in base or ())
    for name, value in changes.items():
        if not name or "\0" in name + value:
            raise RequestError(f"{name[:80]!r} cannot be an environment variable: it is empty or has a NUL in it")
        variables[name] = value
    return tuple(f"{name}={value}" for name, value in variables.items())
