"""The template reader is strict: what it does not know is an error, never shipped."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.golang.templates import KO_NAMES, NAMES, fill, names_in


def test_values_are_filled_in_wherever_they_stand() -> None:
    text = "-X main.v={{.Version}} -X main.c={{ .Commit }}{{.Env.USER}}"
    assert fill(text, {"Version": "v1", "Commit": "abc"}, {"USER": "u"}) == "-X main.v=v1 -X main.c=abcu"


def test_kos_spellings_mean_the_same() -> None:
    assert names_in(["{{.Git.ShortCommit}} {{.Git.FullCommit}} {{.Git.Tag}}"]) == {"ShortCommit", "Commit", "Tag"}
    assert set(KO_NAMES.values()) <= set(NAMES)


def test_only_git_values_are_named_so_that_git_runs_only_for_them() -> None:
    assert names_in(["-s -w", "{{.Env.HOME}}"]) == frozenset()
    assert names_in(["{{.Date}}"]) == {"Date"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{.Versoin}}", "Version"),
        ("{{.Git.ShortComit}}", "Git.ShortCommit"),
        ("{{.Nothing.Like.It.At.All}}", "There are"),
        ("{{ printf .Version }}", "functions are not supported"),
        ("{{if .Tag}}x{{end}}", "functions are not supported"),
        ("{{.Version", "Close it"),
        ("{{}}", "functions"),
        ("{{.Env.A.B}}", "There are"),
        ("{{.Env}}", "There are"),
    ],
)
def test_anything_else_is_an_error_that_helps(text: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        names_in([text])
    assert said in caught.value.hint


def test_a_variable_that_is_not_set_is_an_error() -> None:
    assert fill("{{.Env.A}}", {}, {"A": ""}) == ""
    with pytest.raises(RequestError, match="variable A of"):
        fill("{{.Env.A}}", {}, {})


def test_values_are_not_templates_themselves() -> None:
    assert fill("{{.Version}}", {"Version": "{{.Commit}}"}, {}) == "{{.Commit}}"
