"""The system's files for an image without a base."""

from __future__ import annotations

import pytest

from wingo.archive.entry import EntryKind
from wingo.errors import RequestError
from wingo.linux.system_files import CERTIFICATES, plan_system_layer, system_files
from wingo.linux.users import DEFAULT_USER

BUNDLE = b"# x\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
ZONES = {"UTC": b"TZif2...", "Europe/Paris": b"TZif2..p", "zone.tab": b"# a table"}


def layer(zones=ZONES, bundle=BUNDLE, epoch=0):
    return plan_system_layer(bundle, zones, epoch=epoch, created_by="a test", comment="c")


def contents(recipe):
    read = {}
    for entry in recipe.entries:
        if entry.content is not None:
            with entry.content.open() as stream:
                read[entry.name] = stream.read()
            assert entry.content.size == len(read[entry.name])
    return read


def test_everything_stands_where_go_looks_for_it():
    read = contents(layer())
    assert read[CERTIFICATES[1:]] == BUNDLE
    assert read["usr/share/zoneinfo/Europe/Paris"] == b"TZif2..p"
    assert read["usr/share/zoneinfo/zone.tab"] == b"# a table"
    assert read["etc/nsswitch.conf"] == b"hosts: files dns\n"
    assert set(read) == {
        "etc/group",
        "etc/nsswitch.conf",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        *(f"usr/share/zoneinfo/{name}" for name in ZONES),
    }


def test_the_default_user_is_in_passwd_and_group_and_owns_its_home():
    uid, gid = DEFAULT_USER.split(":")
    recipe = layer()
    read = contents(recipe)
    users = [line.split(":") for line in read["etc/passwd"].decode().splitlines()]
    groups = [line.split(":") for line in read["etc/group"].decode().splitlines()]
    assert all(len(user) == 7 for user in users)
    assert all(len(group) == 4 for group in groups)
    user = next(user for user in users if user[0] == "nonroot")
    assert user[2:4] == [uid, gid]
    assert {user[3] for user in users} == {group[2] for group in groups}
    home = next(entry for entry in recipe.entries if f"/{entry.name}" == user[5])
    assert (home.kind, home.mode, home.uid, home.gid) == (EntryKind.DIRECTORY, 0o700, int(uid), int(gid))
    assert {user[6] for user in users} == {"/sbin/nologin"}


def test_directories_have_the_modes_that_programs_rely_on():
    modes = {entry.name: entry.mode for entry in layer().entries if entry.kind is EntryKind.DIRECTORY}
    assert modes["tmp"] == 0o1777
    assert modes["root"] == 0o700
    assert modes["etc"] == modes["usr/share/zoneinfo/Europe"] == 0o755


def test_files_are_roots():
    files = [entry for entry in layer().entries if entry.kind is EntryKind.FILE]
    assert {(entry.mode, entry.uid, entry.gid) for entry in files} == {(0o644, 0, 0)}


def test_the_order_of_the_zones_does_not_matter():
    other = dict(reversed(ZONES.items()))
    assert [entry.name for entry in layer(other).entries] == [entry.name for entry in layer().entries]


def test_the_recipe_carries_what_it_was_told():
    recipe = layer(epoch=9)
    assert (recipe.epoch, recipe.created_by, recipe.comment) == (9, "a test", "c")


@pytest.mark.parametrize("bundle", [b"", b"# nothing here\n", b"<html>"])
def test_a_bundle_without_certificates_is_refused(bundle):
    with pytest.raises(RequestError, match="no certificate"):
        system_files(bundle, ZONES)


@pytest.mark.parametrize("zones", [{}, {"Europe/Paris": b"TZif2"}, {"UTC": b""}, {"UTC": b"text"}])
def test_zones_without_utc_are_refused(zones):
    with pytest.raises(RequestError, match="lack UTC"):
        system_files(BUNDLE, zones)
