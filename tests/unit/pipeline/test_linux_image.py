"""An application on Linux: its layer and its config."""

from __future__ import annotations

import io

import pytest

from wingo.archive.entry import Content, EntryKind
from wingo.errors import RequestError
from wingo.oci.config import ContainerConfig
from wingo.pipeline.application import Application
from wingo.pipeline.content import Item, ItemKind
from wingo.pipeline.linux_image import linux_settings, plan_linux_layer
from wingo.pipeline.settings import Settings

BINARY = Content(3, lambda: io.BytesIO(b"ELF"), "a binary")


def application(*items, data=None, **settings):
    return Application("server", "linux", BINARY, items, data or {}, Settings(**settings), 5)


def item(target, kind=ItemKind.FILE, attributes="", **more):
    content = BINARY if kind is ItemKind.FILE else None
    return Item(target, kind, f"the source of {target}", attributes, content=content, **more)


def entries(*items, **settings):
    return {entry.name: entry for entry in plan_linux_layer(application(*items, **settings)).recipe.entries}


def members(base=None, *, has_base=True, **settings):
    return linux_settings(application(**settings), base or ContainerConfig(), has_base=has_base)[0]


def test_the_program_stands_in_its_directory():
    found = entries()
    assert list(found) == ["app", "app/server"]
    assert (found["app/server"].mode, found["app/server"].uid) == (0o555, 0)
    recipe = plan_linux_layer(application()).recipe
    assert (recipe.epoch, recipe.created_by) == (5, "wingo build")


def test_items_become_entries():
    found = entries(
        item("conf", ItemKind.DIRECTORY),
        item("conf/a", executable=True),
        item("conf/b", attributes="0640,7:8"),
        item("/etc/c", ItemKind.LINK, link_target="../app/conf/a"),
    )
    assert (found["app/conf"].kind, found["app/conf"].mode) == (EntryKind.DIRECTORY, 0o755)
    assert found["app/conf/a"].mode == 0o555
    assert (found["app/conf/b"].mode, found["app/conf/b"].uid, found["app/conf/b"].gid) == (0o640, 7, 8)
    assert (found["etc/c"].kind, found["etc/c"].link_target) == (EntryKind.SYMLINK, "../app/conf/a")


def test_what_has_a_drive_is_left_out_and_said():
    plan = plan_linux_layer(application(item("C:\\conf\\a")))
    assert [entry.name for entry in plan.recipe.entries] == ["app", "app/server"]
    assert len(plan.notes) == 1
    assert "drive letter" in plan.notes[0]


@pytest.mark.parametrize(
    ("user", "owner"),
    [("", (65532, 65532)), ("1000:2000", (1000, 2000)), ("nobody", (65534, 65534)), ("ContainerUser", (65532, 65532))],
)
def test_data_belongs_to_the_user_that_runs_the_program(user, owner):
    data = entries(data_dir=("/data", "state"), user=user)
    assert [(data[name].uid, data[name].gid) for name in ("data", "app/state")] == [owner, owner]
    assert data["data"].mode == 0o750


def test_a_user_that_only_the_base_knows_owns_nothing():
    assert entries(user="app")
    assert entries(item("x", attributes="data,1:1"), user="app")["app/x"].uid == 1
    with pytest.raises(RequestError, match="'app' are not known") as caught:
        entries(user="app", data_dir=("/data",))
    assert "UID:GID" in caught.value.hint
    with pytest.raises(RequestError, match="'app' are not known"):
        entries(item("x", attributes="data"), user="app")


def test_a_copied_directory_may_be_the_data_directory():
    found = entries(item("state", ItemKind.DIRECTORY), item("state/seed"), data_dir=("state",))
    assert (found["app/state"].mode, found["app/state"].uid) == (0o750, 65532)
    assert (found["app/state/seed"].mode, found["app/state/seed"].uid) == (0o640, 65532)


def test_two_things_in_one_place_are_refused_naming_both():
    with pytest.raises(RequestError) as caught:
        entries(item("server"))
    assert "(the program)" in str(caught.value)
    assert "(the source of server)" in str(caught.value)


def test_without_a_base_the_config_is_a_careful_one():
    made = members(has_base=False)
    assert made["user"] == "65532:65532"
    assert made["working_dir"] == "/"
    assert made["entrypoint"] == ("/app/server",)
    assert made["cmd"] is None
    assert made["env"] == ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)


def test_a_base_keeps_what_the_user_did_not_change():
    made = members(ContainerConfig(env=("PATH=/x", "A=b"), volumes={"/v": {}}), env={"A": "c"}, volume=("/w", "C:\\x"))
    assert made["env"] == ("PATH=/x", "A=c")
    assert made["volumes"] == {"/v": {}, "/w": {}}
    assert not {"user", "working_dir"} & set(made)


def test_the_settings_reach_the_config():
    made = members(user="7:8", workdir="sub", arg=("-v", "x"), stop_signal="SIGQUIT", data={"KO_DATA_PATH": "/k"})
    assert (made["user"], made["working_dir"], made["stop_signal"]) == ("7:8", "/app/sub", "SIGQUIT")
    assert made["entrypoint"] == ("/app/server", "-v", "x")
    assert made["env"] == ("KO_DATA_PATH=/k",)


@pytest.mark.parametrize("user", ["ContainerUser", "containeradministrator", "DOMAIN\\me"])
def test_a_user_for_windows_is_not_linuxs(user):
    assert members(has_base=False, user=user)["user"] == "65532:65532"


@pytest.mark.parametrize("variable", [{"": "x"}, {"A": "\0"}, {"A\0": "x"}])
def test_a_variable_that_linux_cannot_have_is_refused(variable):
    with pytest.raises(RequestError, match="environment variable"):
        members(env=variable)


@pytest.mark.parametrize("signal", ["SIGTERM", "term", "15", "SIGRTMIN+3", "USR1"])
def test_a_signal_is_taken_as_docker_takes_it(signal):
    assert members(stop_signal=signal)["stop_signal"] == signal


@pytest.mark.parametrize("signal", ["FOO", "SIG", "SIGTERM ", "0", "999", "USR3"])
def test_what_is_no_signal_is_refused(signal):
    with pytest.raises(RequestError, match="is not a signal"):
        members(stop_signal=signal)
