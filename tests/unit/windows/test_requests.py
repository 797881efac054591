"""The attributes text of `--copy` and `wingo.toml`."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.windows.requests import DATA, READ_ONLY, UNSAID, Attributes, parse_attributes
from wingo.windows.security import DATA_DIRECTORY, DATA_FILE, READ_ONLY_DIRECTORY, READ_ONLY_FILE

SDDL = "O:BAG:SYD:P(A;;FA;;;BA)"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", UNSAID),
        (" ", UNSAID),
        ("ro", READ_ONLY),
        ("data", DATA),
        ("hidden", Attributes("", 2)),
        ("readonly,hidden, system", Attributes(bits=7)),
        ("data,hidden", Attributes("data", 2)),
        (SDDL, Attributes(SDDL)),
        (f"hidden,{SDDL}", Attributes(SDDL, 2)),
    ],
)
def test_attributes_are_read(text: str, wanted: Attributes) -> None:
    assert parse_attributes(text) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rw", "no attribute 'rw'"),
        ("RO", "no attribute 'RO'"),
        ("ro,", "no attribute ''"),
        ("ro,data", "twice"),
        ("ro,ro", "twice"),
        (f"data,{SDDL}", "twice"),
        ("hidden,hidden", "hidden stands there twice"),
        ("O:BAG:SY", "owner, group and access list"),
        ("D:(A;;FA;;;BA)", "owner, group and access list"),
        ("O:BAG:SYD:(A;;FA;;;XX)", "SDDL, character 20"),
    ],
)
def test_other_attributes_are_refused(text: str, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_attributes(text)
    assert says in str(caught.value)


def test_files_and_directories_have_their_own_descriptors() -> None:
    assert (READ_ONLY.file_sddl, READ_ONLY.directory_sddl) == (READ_ONLY_FILE, READ_ONLY_DIRECTORY)
    assert (DATA.file_sddl, DATA.directory_sddl) == (DATA_FILE, DATA_DIRECTORY)
    assert UNSAID.file_sddl == UNSAID.directory_sddl == ""
    assert Attributes(SDDL).file_sddl == Attributes(SDDL).directory_sddl == SDDL
