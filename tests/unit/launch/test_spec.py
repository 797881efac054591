"""Config and request → RunSpec."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.launch.spec import (
    PATH,
    Mount,
    Network,
    Port,
    RunRequest,
    parse_duration,
    parse_memory,
    parse_mount,
    parse_name,
    parse_port,
    plan_run,
)
from wingo.launch.users import Account, find_account
from wingo.oci.config import ContainerConfig, ImageConfig

CONFIG = ImageConfig(
    os="linux",
    architecture="amd64",
    config=ContainerConfig(
        entrypoint=("/app", "serve"),
        cmd=("--port", "80"),
        env=("A=1", "B=2"),
        working_dir="/srv",
        user="65532",
        stop_signal="SIGINT",
        volumes={"/data": {}},
    ),
)


def test_without_a_request_the_image_decides():
    spec = plan_run(CONFIG, RunRequest(name="x"))
    assert spec.argv == ("/app", "serve", "--port", "80")
    assert spec.env == (PATH, "A=1", "B=2")
    assert (spec.cwd, spec.user, spec.stop_signal, spec.volumes) == ("/srv", "65532", "SIGINT", ("/data",))
    assert spec.hostname == "x"


def test_arguments_take_the_place_of_the_cmd():
    assert plan_run(CONFIG, RunRequest(name="x", args=("-h",))).argv == ("/app", "serve", "-h")


def test_an_entrypoint_drops_the_cmd():
    assert plan_run(CONFIG, RunRequest(name="x", entrypoint=("/bin/sh",))).argv == ("/bin/sh",)


def test_a_later_variable_wins_and_keeps_its_place():
    spec = plan_run(CONFIG, RunRequest(name="x", env=("A=3", "C=4", "PATH=/bin")))
    assert spec.env == ("PATH=/bin", "A=3", "B=2", "C=4")


def test_names_of_windows_have_no_case():
    config = ImageConfig(os="windows", architecture="amd64", config=ContainerConfig(cmd=("a.exe",), env=("Path=1",)))
    spec = plan_run(config, RunRequest(name="x", env=("PATH=2",)))
    assert spec.env == ("PATH=2",)
    assert spec.cwd == "C:\\"


def test_args_escaped_holds_for_the_images_own_words_only():
    settings = ContainerConfig(cmd=("app.exe -a b",), args_escaped=True)
    config = ImageConfig(os="windows", architecture="amd64", config=settings)
    assert plan_run(config, RunRequest(name="x")).args_escaped
    assert not plan_run(config, RunRequest(name="x", args=("app.exe",))).args_escaped


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (RunRequest(name="x", entrypoint=()), "neither Entrypoint nor Cmd"),
        (RunRequest(name="x", detach=True, tty=True), "no terminal"),
        (RunRequest(name="x", ports=(Port(80),), network=Network.NONE), "contradict"),
        (RunRequest(name="x", cwd="app"), "not absolute"),
        (RunRequest(name="x", args=("a\0b",)), "NUL"),
    ],
)
def test_what_cannot_be_is_refused(request_, words):
    with pytest.raises(RequestError, match=words):
        plan_run(CONFIG, request_)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("80", Port(80)),
        ("8080:80", Port(80, 8080)),
        ("0.0.0.0:8080:80/tcp", Port(80, 8080, "0.0.0.0")),
        ("[::1]:53:53/udp", Port(53, 53, "::1", "udp")),
    ],
)
def test_ports(text, port):
    assert parse_port(text) == port


@pytest.mark.parametrize("text", ["", "0", "65536", "a:80", "80/sctp", ":80:", "1:2:", "-1", "٣"])
def test_no_ports(text):
    with pytest.raises(RequestError, match="no port"):
        parse_port(text)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/a:/b", Mount("/b", "/a")),
        ("a:/b:ro", Mount("/b", "a", read_only=True)),
        (r"C:\a:D:\b:rw", Mount("D:\\b", "C:\\a")),
        (r"/a:C:\data", Mount("C:\\data", "/a")),
    ],
)
def test_mounts(text, mount):
    assert parse_mount(text) == mount


@pytest.mark.parametrize("text", ["", "/a", "/a:b", "/a:/b:x", ":/b", "/a:/b/../../c"])
def test_no_mounts(text):
    with pytest.raises(RequestError):
        parse_mount(text)


def test_numbers():
    assert parse_memory("64m") == 64 << 20
    assert parse_duration("1.5m", "--timeout") == 90
    for text in ("", "x", "0", "-1", "1p", "1000"):
        with pytest.raises(RequestError):
            parse_memory(text)
    for text in ("", "x", "0", "-1", "1d"):
        with pytest.raises(RequestError):
            parse_duration(text, "--timeout")
    for text in ("", "-a", "a/b", "a" * 65):
        with pytest.raises(RequestError):
            parse_name(text)


PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbroken\n"
GROUP = "root:x:0:\napp:x:1001:\nvideo:x:44:app,root\n"


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ("", Account(0, 0, (), "/root", "root")),
        ("app", Account(1000, 1001, (44,), "/home/app", "app")),
        ("1000", Account(1000, 1001, (44,), "/home/app", "app")),
        ("1000:5", Account(1000, 5, (), "/home/app", "app")),
        ("app:video", Account(1000, 44, (), "/home/app", "app")),
        ("65532", Account(65532, 0)),
        ("65532:65532", Account(65532, 65532)),
    ],
)
def test_users(user, account):
    assert msgspec_without_root_video(find_account(user, PASSWD, GROUP)) == account


def msgspec_without_root_video(account):
    """root is in video too; that is not what is asked here."""
    return account if account.name != "root" else Account(0, 0, (), account.home, account.name)


def test_nonroot_needs_no_file():
    assert find_account("nonroot", "", "") == Account(65532, 65532, name="nonroot")


@pytest.mark.parametrize("user", ["nobody2", "app:nogroup", "4294967295", "1000:99999999999"])
def test_unknown_users(user):
    with pytest.raises(RequestError):
        find_account(user, PASSWD, GROUP)
