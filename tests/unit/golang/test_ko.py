"""ko's users can switch: the `builds` of a .ko.yaml."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.golang.ko import read_ko


def test_an_entry_becomes_flags() -> None:
    read = read_ko(
        {
            "defaultBaseImage": "not ours",
            "builds": [
                {
                    "id": "app",
                    "dir": "./sub",
                    "main": "./cmd/app/main.go",
                    "env": ["GOFLAGS=-mod=mod", "GOOS=linux"],
                    "flags": ["-tags", "netgo", "-trimpath", "-mod=vendor"],
                    "ldflags": ["-s -w", "-X main.v={{.Git.Tag}}"],
                    "linux_capabilities": ["net_bind_service"],
                    "binary": "x",
                },
                {"main": "./cmd/other", "flags": "-tags=a,b -race", "ldflags": "-s"},
            ],
        }
    )
    flags = read.flags_for("sub/cmd/app")
    assert flags is not None
    assert flags.tags == ("netgo",)
    assert flags.extra == ("-mod=vendor",)
    assert flags.ldflags == ("-s -w", "-X main.v={{.Git.Tag}}")
    assert flags.env == (("GOFLAGS", "-mod=mod"),)
    other = read.flags_for("./cmd/other/")
    assert other is not None
    assert (other.tags, other.extra, other.ldflags) == (("a", "b"), ("-race",), ("-s",))
    assert read.flags_for("cmd/third") is None
    assert len(read.notes) == 3
    for word in ("binary", "linux_capabilities", "GOOS"):
        assert any(word in note for note in read.notes)


def test_defaults_hold_where_an_entry_says_nothing() -> None:
    read = read_ko({"defaultEnv": ["A=1"], "defaultFlags": ["-race"], "defaultLdflags": ["-s"], "builds": [{}]})
    flags = read.flags_for(".")
    assert flags is not None
    assert (flags.env, flags.extra, flags.ldflags) == ((("A", "1"),), ("-race",), ("-s",))


@pytest.mark.parametrize(
    "document",
    [
        {"builds": "x"},
        {"builds": ["x"]},
        {"builds": [{"env": ["A"]}]},
        {"builds": [{"env": [1]}]},
        {"builds": [{"ldflags": {"a": 1}}]},
        {"builds": [{"dir": 1}]},
        {"builds": [{"dir": "/etc"}]},
    ],
)
def test_what_ko_would_not_take_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=r"\.ko\.yaml"):
        read_ko(document)


def test_no_builds_are_none() -> None:
    assert read_ko({}).builds == ()
