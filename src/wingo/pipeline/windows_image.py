"""An application on Windows: its layer and its config, by the rules of `wingo.windows`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wingo.oci.config import ContainerConfig
from wingo.pipeline.application import CREATED_BY, Application, PlannedLayer, path_for, placed_items, placed_paths
from wingo.pipeline.content import Item, ItemKind
from wingo.windows.command import host_process_path, plan_entrypoint, user_name, working_directory
from wingo.windows.environment import merge_environment
from wingo.windows.layer import plan_layer
from wingo.windows.paths import fold, parse_path, path_text
from wingo.windows.requests import (
    DATA,
    READ_ONLY,
    Attributes,
    LayerRequest,
    WindowsDirectory,
    WindowsFile,
    WindowsSymlink,
    check_complete,
    parse_attributes,
)


def plan_windows_layer(application: Application) -> PlannedLayer:
    """The application layer, in the dialect of the Windows importer.

    Raises:
        RequestError: see `wingo.windows.layer.plan_layer`.
    """
    items, notes = placed_items(application)
    requests: list[LayerRequest] = [
        WindowsFile(path=application.program, content=application.binary, attributes=READ_ONLY, source="the program"),
        *(_request(item) for item in items),
        *(
            WindowsDirectory(path=path, attributes=DATA, source=f"--data-dir {path}")
            for path in placed_paths(application.settings.data_dir, "windows")
        ),
    ]
    planned = plan_layer(
        _with_permissions(requests, application.settings.permissions), epoch=application.epoch, created_by=CREATED_BY
    )
    return PlannedLayer(planned.recipe, (*notes, *planned.notes))


def _request(item: Item) -> LayerRequest:
    attributes = parse_attributes(item.attributes)
    if item.kind is ItemKind.LINK:
        target = item.link_target.replace("/", "\\")
        return WindowsSymlink(path=item.target, target=target, directory=item.to_directory, source=item.source)
    if item.kind is ItemKind.DIRECTORY:
        return WindowsDirectory(path=item.target, attributes=attributes, source=item.source)
    assert item.content is not None
    return WindowsFile(path=item.target, content=item.content, attributes=attributes, source=item.source)


def _with_permissions(requests: list[LayerRequest], permissions: Mapping[str, str]) -> list[LayerRequest]:
    """Gives the paths of the `permissions` table their SDDL; a path that nothing else brings becomes a directory."""
    placed = {path_for(path, "windows") or path: sddl for path, sddl in permissions.items()}
    wanted = {}
    for path, sddl in placed.items():
        check_complete(sddl)
        wanted[fold(parse_path(path))] = path
    changed: list[LayerRequest] = []
    for request in requests:
        path = wanted.pop(fold(parse_path(request.path)), "") if isinstance(request, _DESCRIBED) else ""
        if path and isinstance(request, _DESCRIBED):
            attributes = msgspec.structs.replace(request.attributes, access=placed[path])
            changed.append(msgspec.structs.replace(request, attributes=attributes))
        else:
            changed.append(request)
    return changed + [
        WindowsDirectory(path=path, attributes=Attributes(placed[path]), source=f"permissions of {path}")
        for path in wanted.values()
    ]


_DESCRIBED = (WindowsFile, WindowsDirectory)


def windows_settings(
    application: Application, base: ContainerConfig, *, host_process: bool = False
) -> tuple[dict[str, object], list[str]]:
    r"""The members of the config's `config` that the application changes, and notes (facts §1.8).

    Args:
        application: what is built.
        base: the base's settings.
        host_process: the base is one for HostProcess containers, in which `C:\` is the host's drive.

    Raises:
        RequestError: a user, a variable or a path that Windows cannot have.
    """
    settings = application.settings
    data_variables = application.data_variables
    if host_process:
        data_variables = {name: host_process_path(path) for name, path in data_variables.items()}
    else:
        data_variables = {name: path_text(parse_path(path)) for name, path in data_variables.items()}
    changes = (*data_variables.items(), *settings.env.items())
    environment = merge_environment(base.env, changes)
    notes = list(environment.notes)
    members: dict[str, object] = {
        "env": environment.variables,
        "entrypoint": plan_entrypoint(application.program, settings.arg, host_process=host_process),
        "cmd": None,
        "args_escaped": None,
    }
    if settings.user and not _is_linux_user(settings.user):
        members["user"] = user_name(settings.user, host_process=host_process)
    if workdirs := placed_paths((settings.workdir,) if settings.workdir else (), "windows"):
        members["working_dir"] = working_directory(workdirs[0], host_process=host_process)
    if volumes := placed_paths(settings.volume, "windows"):
        members["volumes"] = {**(base.volumes or {}), **{path_text(parse_path(path)): {} for path in volumes}}
    if settings.stop_signal:
        notes.append("--stop-signal means nothing on Windows, where a stop reaches a Go program as SIGTERM")
    return members, notes


def _is_linux_user(user: str) -> bool:
    """A number, or `number:number`, is for Linux alone; a build for both systems may name one user for each."""
    return all(part.isdigit() for part in user.split(":"))
