"""Profiles and the analysis, on a small registry."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.hive.edit import DeleteKey, SetValue
from wingo.hive.keys import walk
from wingo.pipeline.profiles import load_profiles, profile_names
from wingo.testing.hives import sample_registry
from wingo.windows.profile import Profile, ServiceRule, ValueRule, parse_profile, plan_profiles, steps_of_edits
from wingo.windows.registry import Registry, edited
from wingo.windows.registry_analysis import analyse, totals, win_of, wins_of

REGISTRY = sample_registry()
RULE = 'reason = "r"\nsource = "s"\n'


def never(_: str) -> str:
    raise AssertionError


@pytest.mark.parametrize("name", profile_names())
def test_our_own_profiles(name):
    """Each rule can be applied, says why, and nothing speaks against it."""
    profiles = load_profiles([name], never)
    assert all(rule.reason and rule.source for profile in profiles for rule in (*profile.services, *profile.values))
    plan = plan_profiles(profiles, REGISTRY)
    assert plan.objections == ()
    assert any(step.edits for step in plan.steps)
    after = edited(REGISTRY, plan.edits)
    assert plan_profiles(profiles, after).edits == ()


def test_profiles_come_after_those_that_they_extend_and_once():
    assert [profile.name for profile in load_profiles(["web", "servercore", "minimal"], never)] == [
        "minimal",
        "web",
        "servercore",
    ]


def test_a_later_rule_wins():
    profiles = [
        Profile("one", services=(ServiceRule(name="spooler", reason="r", source="s"),)),
        Profile("two", services=(ServiceRule(name="Spooler", start="manual", reason="r", source="s"),)),
    ]
    plan = plan_profiles(profiles, REGISTRY)
    assert [(step.before, step.after) for step in plan.steps] == [("auto", "disabled"), ("disabled", "demand")]


def test_no_key_of_a_service_is_ever_made():
    below = "HKLM\\SYSTEM\\CurrentControlSet\\Services"
    rules = tuple(
        ValueRule(key=f"{below}\\{name}", name="x", data="dword:1", reason="r", source="s")
        for name in ("NoSuch", "NoSuch\\Parameters", "Dnscache\\New")
    )
    steps = plan_profiles([Profile("p", values=rules)], REGISTRY).steps
    assert [bool(step.edits) for step in steps] == [False, False, True]
    assert "no service NoSuch" in steps[0].skipped


def test_an_image_without_a_hive():
    registry = Registry({"SOFTWARE": REGISTRY.hives["SOFTWARE"]})
    plan = plan_profiles(load_profiles(["web"], never), registry)
    assert {step.skipped for step in plan.steps} == {
        "",
        "this image has no HKEY_LOCAL_MACHINE\\SYSTEM",
        "this image does not have it",
    }
    assert plan.objections == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name = 1",
        "name = 'a'\nnames = 'b'",
        "name = 'a'\n[[service]]\nname = 'b'",
        f"name = 'a'\n[[service]]\nname = 'b'\nstart = 'x'\n{RULE}",
        f"name = 'a'\n[[value]]\nkey = 'x'\nname = ''\ndata = 'dword:1'\n{RULE}",
        f"name = 'a'\n[[value]]\nkey = 'HKLM\\SYSTEM'\nname = ''\ndata = 'x'\n{RULE}",
        f"name = 'a'\n[[value]]\nkey = 'HKCU\\SYSTEM'\nname = ''\ndata = 'dword:1'\n{RULE}",
        "x" * (1 << 21),
    ],
)
def test_what_is_no_profile(text):
    with pytest.raises(RequestError):
        parse_profile(text, "own.toml")


def test_edits_that_a_person_asks_for():
    edits = (SetValue("HKLM\\SOFTWARE\\A", "", 4, b"\1\0\0\0"), DeleteKey("HKLM\\SOFTWARE\\Microsoft"))
    steps = steps_of_edits(edits, REGISTRY, "a.reg")
    assert [(step.subject, step.before, step.after) for step in steps] == [
        ("HKEY_LOCAL_MACHINE\\SOFTWARE\\A\\(default)", "(none)", "dword:0x1"),
        ("HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft", "(none)", "deleted"),
    ]


def test_the_analysis_counts_everything():
    found = analyse(REGISTRY, lambda path: path.endswith("svchost.exe"))
    system = REGISTRY.hives["SYSTEM"]
    assert found.hives[0].whole.keys == sum(1 for _ in walk(system))
    assert found.hives[0].whole.values == sum(len(key.values()) for _, key in walk(system))
    assert found.hives[0].empty_keys == 1
    assert found.hives[0].descriptors == 1
    paths = {part.path for part in found.hives[0].subtrees}
    assert "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services" in paths
    by_name = {service.name: service for service in found.services}
    assert by_name["Spooler"].missing == ("C:\\Windows\\System32\\spoolsv.exe",)
    assert by_name["Lonely"].missing == ("service Nowhere",)
    assert by_name["RpcSs"].needed_by == ("nsi", "ProfSvc", "Spooler")
    assert by_name["nsi"].kept.endswith("(cexecsvc needs nsi)")
    assert found.counts["auto"] == 9
    assert by_name["Spooler"].process == "%SystemRoot%\\System32\\spoolsv.exe"
    assert by_name["Base"].process == "svchost -k netsvcs"
    assert analyse(REGISTRY, None).files_known is False


def test_the_largest_is_named_where_it_is():
    """A key that is nearly all of the one above it stands for both."""
    found = analyse(REGISTRY, None).hives[0]
    sizes = [part.bytes for part in found.subtrees]
    assert sizes == sorted(sizes, reverse=True)
    assert "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001" not in {part.path for part in found.subtrees}


def test_what_a_plan_wins():
    plan = plan_profiles(load_profiles(["minimal"], never), REGISTRY)
    after = edited(REGISTRY, plan.edits)
    assert win_of(plan, REGISTRY, after).startswith("1 fewer services start by themselves (8 of 9)")
    assert win_of(plan_profiles([], REGISTRY), REGISTRY, REGISTRY) == "nothing changes"
    assert totals(REGISTRY).services["disabled"] + 1 == totals(after).services["disabled"]


def test_what_each_step_wins():
    rules = tuple(
        ServiceRule(name=name, start=start, reason="r", source="s")
        for name, start in (
            ("Spooler", "disabled"),
            ("DiagTrack", "manual"),
            ("W32Time", "disabled"),
            ("Fax", "delete"),
        )
    )
    plan = plan_profiles([Profile("p", services=rules)], REGISTRY)
    assert wins_of(plan, REGISTRY) == (
        "%SystemRoot%\\System32\\spoolsv.exe does not start",
        "one service less in svchost -k netsvcs, which 6 others start as well",
        "1 trigger(s) start it no more",
        "it could be started when asked for, and cannot now",
    )
