"""What a hook is told, and what its answers do."""

from __future__ import annotations

import json

import pytest

from wingo.errors import RequestError, TrustError
from wingo.launch.admission import apply_answers, event_of
from wingo.launch.policy import Policy
from wingo.launch.spec import Mount, Port, RunSpec
from wingo.oci.platform import Platform

SPEC = RunSpec(
    name="box",
    platform=Platform("linux", "amd64"),
    argv=("/app",),
    env=("A=secret", "B=2"),
    ports=(Port(80, 8080),),
    mounts=(Mount("/data", "/here", read_only=True),),
)


def test_the_event_is_plain_and_has_no_values_of_variables():
    event = event_of(SPEC, Policy("user", ()), "registry.example/app:v1", "sha256:0", {"team": "x"})
    text = json.dumps(event)
    assert "secret" not in text
    assert event["env"] == ["A", "B"]
    assert event["image"]["labels"] == {"team": "x"}
    assert event["ports"] == [{"port": 80, "protocol": "tcp", "address": "127.0.0.1"}]
    assert event["mounts"] == [{"source": "/here", "target": "/data", "readOnly": True}]


def test_answers():
    assert apply_answers({"admit": True}, SPEC, "h").spec == SPEC
    assert apply_answers({"admit": {"allow": True}}, SPEC, "h").spec == SPEC
    changed = apply_answers({"transform": {"env": {"A": "new", "C": "3"}, "labels": {"seen": "yes"}}}, SPEC, "h")
    assert changed.spec.env == ("A=new", "B=2", "C=3")
    assert changed.labels == {"seen": "yes"}


@pytest.mark.parametrize(
    "answer",
    [False, None, "because", 1, "true", [], {"allow": 1}, {"allow": "true"}, {"allow": False, "reason": "because"}],
)
def test_only_true_admits(answer):
    with pytest.raises(TrustError, match="does not admit"):
        apply_answers({"admit": answer}, SPEC, "h")


@pytest.mark.parametrize(
    "answer",
    [
        "x",
        {"argv": ["/bin/sh"]},
        {"env": []},
        {"env": {"A": 1}},
        {"env": {"A=B": "x"}},
        {"labels": {"": "x"}},
        {"env": {"A": "\0"}},
    ],
)
def test_nothing_else_can_be_changed(answer):
    with pytest.raises(RequestError):
        apply_answers({"transform": answer}, SPEC, "h")
