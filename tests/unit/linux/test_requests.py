"""The attributes text."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.linux.requests import DATA, READ_ONLY, UNSAID, Attributes, parse_attributes
from wingo.linux.users import Owner


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("", UNSAID),
        ("  ", UNSAID),
        ("ro", READ_ONLY),
        ("data", DATA),
        ("0640", Attributes(mode=0o640)),
        ("640", Attributes(mode=0o640)),
        ("4755", Attributes(mode=0o4755)),
        ("000", Attributes(mode=0)),
        ("1000:2000", Attributes(owner=Owner(1000, 2000))),
        ("data, 0600 ,1:2", Attributes("data", 0o600, Owner(1, 2))),
    ],
)
def test_words_are_read(text, attributes):
    assert parse_attributes(text) == attributes


@pytest.mark.parametrize("text", ["readonly", "hidden,system", "O:BAG:BAD:(A;;FA;;;BA)"])
def test_words_for_windows_are_passed_over(text):
    assert parse_attributes(text) == UNSAID
    assert parse_attributes(f"data,{text}") == DATA


@pytest.mark.parametrize("text", ["rw", "0888", "64", "07777777", "a:b", "1000:", "ro,,data", "ro data", "RO", "+x"])
def test_an_unknown_word_is_refused(text):
    with pytest.raises(RequestError, match="there is no attribute") as caught:
        parse_attributes(text)
    assert "0640" in caught.value.hint


@pytest.mark.parametrize("text", ["ro,data", "data,data", "0644,0600", "1:1,2:2"])
def test_two_words_for_one_thing_are_refused(text):
    with pytest.raises(RequestError, match="contradicts or repeats"):
        parse_attributes(text)


def test_a_word_of_the_shared_vocabulary_means_the_same_on_windows():
    from wingo.windows.requests import parse_attributes as parse_for_windows

    for word in ("", "ro", "data"):
        assert parse_attributes(word).access == parse_for_windows(word).access
