"""Users by number."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.linux.users import DEFAULT_USER, MAX_ID, NOBODY, NONROOT, ROOT, Owner, owner_of_user, parse_owner


def test_the_default_user_is_one_that_kubernetes_can_tell_is_not_root():
    assert DEFAULT_USER == "65532:65532"
    assert parse_owner(DEFAULT_USER) == NONROOT


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("0:0", ROOT),
        ("1000:2000", Owner(1000, 2000)),
        (f"{MAX_ID}:{MAX_ID}", Owner(MAX_ID, MAX_ID)),
        ("007:1", Owner(7, 1)),
    ],
)
def test_numbers_are_read(text, owner):
    assert parse_owner(text) == owner


@pytest.mark.parametrize("text", ["", ":", "1", "1:", ":1", "a:b", "-1:0", "1:2:3", " 1:2", "\u0661:1", "1.0:1"])
def test_what_is_no_pair_of_numbers_is_refused(text):
    with pytest.raises(RequestError, match="not known") as caught:
        parse_owner(text)
    assert DEFAULT_USER in caught.value.hint


@pytest.mark.parametrize("text", [f"{MAX_ID + 1}:0", f"0:{MAX_ID + 1}", "9" * 5000 + ":0"])
def test_a_number_that_linux_does_not_have_is_refused(text):
    with pytest.raises(RequestError, match="the highest"):
        parse_owner(text)


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("", ROOT),
        ("root", ROOT),
        ("0", ROOT),
        ("nonroot", NONROOT),
        ("65532", NONROOT),
        ("nobody", NOBODY),
        ("1000", Owner(1000, 0)),
        ("1000:1000", Owner(1000, 1000)),
        ("nonroot:nonroot", NONROOT),
        ("nonroot:0", Owner(65532, 0)),
        ("1000:nobody", Owner(1000, 65534)),
    ],
)
def test_the_owner_of_a_configs_user(user, owner):
    assert owner_of_user(user) == owner


@pytest.mark.parametrize("user", ["app", "ContainerUser", "root:", "1000:", "1000:staff", ":1000x", "app:1000"])
def test_a_user_whose_number_only_the_base_knows_is_refused(user):
    with pytest.raises(RequestError, match="not known") as caught:
        owner_of_user(user)
    assert "UID:GID" in caught.value.hint
