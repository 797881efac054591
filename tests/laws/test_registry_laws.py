"""Services and their policy, over random graphs; edits of a registry and what undoes them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, SetValue
from wingo.hive.keys import TreeKey
from wingo.hive.merge import merge
from wingo.hive.read import open_hive
from wingo.hive.regfile import format_edits, parse_reg
from wingo.testing.hives import SYSTEM_SECURITY, dword, sample_registry, service_key
from wingo.windows.registry import Registry, changes, delta_hives, edited, edits_to
from wingo.windows.registry_policy import objections
from wingo.windows.services import ServiceChange, Start, change_service, read_services

NAMES = [f"S{number}" for number in range(8)]
GRAPHS = st.lists(
    st.tuples(
        st.integers(2, 4), st.lists(st.sampled_from(NAMES), max_size=3, unique=True), st.sampled_from(["", "G", "H"])
    ),
    min_size=8,
    max_size=8,
)


def registry_of(graph) -> Registry:
    services = tuple(
        service_key(
            name, start=start, depends_on=needs, group=group, depends_on_groups=("G",) if needs and group == "H" else ()
        )
        for name, (start, needs, group) in zip(NAMES, graph, strict=True)
    )
    select = TreeKey("Select", SYSTEM_SECURITY, contents=(dword("Current", 1),))
    current = TreeKey(
        "ControlSet001", SYSTEM_SECURITY, children=(TreeKey("Services", SYSTEM_SECURITY, children=services),)
    )
    return Registry({"SYSTEM": TreeKey("ROOT", SYSTEM_SECURITY, children=(current, select))})


def can_start(registry: Registry) -> set[str]:
    """By brute force: what is left when everything is taken away that needs what is not there."""
    services = {service.name: service for service in read_services(registry)}
    able = {name for name, service in services.items() if service.start is not Start.DISABLED}
    while True:
        lost = set()
        for name in able:
            service = services[name]
            if not all(needed in able for needed in service.depends_on if needed in services):
                lost.add(name)
            for group in service.depends_on_groups:
                members = [other.name for other in services.values() if other.group == group]
                if members and not any(member in able for member in members):
                    lost.add(name)
        if not lost:
            return able
        able -= lost


@settings(deadline=None)
@given(GRAPHS, st.sets(st.sampled_from(NAMES)))
def test_what_nothing_speaks_against_keeps_every_other_service_able_to_start(graph, disabled):
    before = registry_of(graph)
    after = before
    for name in disabled:
        after = edited(after, change_service(before, name, ServiceChange(start=Start.DISABLED)))
    was, now = can_start(before), can_start(after)
    lost = was - now - disabled
    found = objections(before, after)
    if not found:
        assert lost == set()
    named = {objection.chain[0] for objection in found if len(objection.chain) > 1}
    assert lost <= named


PATHS = st.sampled_from(
    [
        "HKLM\\SOFTWARE\\A",
        "HKLM\\SOFTWARE\\a\\b",
        "HKLM\\SOFTWARE\\Microsoft\\Rpc",
        "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Spooler",
        "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Dnscache\\Parameters",
        "HKLM\\SYSTEM\\ControlSet001\\New\\Ключ",
    ]
)
VALUES = st.sampled_from(["", "Start", "start", "x", "Имя", "ImagePath"])
EDITS = st.lists(
    st.one_of(
        st.builds(CreateKey, PATHS),
        st.builds(DeleteKey, PATHS),
        st.builds(SetValue, PATHS, VALUES, st.integers(0, 11), st.binary(max_size=40)),
        st.builds(DeleteValue, PATHS, VALUES),
    ),
    max_size=8,
)
SAMPLE = sample_registry()


@settings(deadline=None)
@given(EDITS)
def test_edits_can_be_undone_and_a_layer_makes_them(edits):
    after = edited(SAMPLE, edits)
    undone = edited(after, edits_to(after, SAMPLE))
    assert changes(SAMPLE, undone) == {}
    by_file = edited(after, parse_reg(format_edits(edits_to(after, SAMPLE)).encode()))
    assert list(edits_to(SAMPLE, by_file)) == []
    merged = {
        hive: merge(SAMPLE.hives[hive], open_hive(delta).root) for hive, delta in delta_hives(SAMPLE, after).items()
    }
    assert changes(after, Registry({**after.hives, **merged})) == {}
