"""Laws of permission tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wingo.launch.policy import Action, Policy, Rule, components, decide_path

_NAMES = st.sampled_from(["a", "b", "c", "ab"])
_PATHS = st.lists(_NAMES, max_size=4).map(lambda parts: "/" + "/".join(parts))
_ON_PATHS = st.sampled_from([Action.READ, Action.WRITE, Action.EXEC])


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    path = draw(_PATHS)
    return Rule(draw(st.sampled_from(["r", "s"])), draw(st.one_of(st.none(), _ON_PATHS)), path, components(path))


POLICIES = st.lists(rules(), max_size=8).map(lambda found: Policy("r", tuple(found)))


@given(_PATHS, _ON_PATHS)
def test_an_empty_table_allows_nothing(path, action):
    decision = decide_path(Policy("r", ()), action, path)
    assert not decision.allowed
    assert decision.rule is None


@given(POLICIES, _PATHS, _ON_PATHS, rules())
def test_a_further_rule_that_allows_takes_nothing_away(policy, path, action, rule):
    if rule.action is None:
        return
    before = decide_path(policy, action, path).allowed
    assert decide_path(Policy("r", (*policy.rules, rule)), action, path).allowed >= before


@given(POLICIES, _PATHS, _ON_PATHS, _PATHS)
def test_a_further_denial_gives_nothing(policy, path, action, denied):
    rule = Rule("r", None, denied, components(denied))
    assert (
        decide_path(Policy("r", (*policy.rules, rule)), action, path).allowed
        <= decide_path(policy, action, path).allowed
    )


@given(POLICIES, _PATHS)
def test_who_may_write_or_execute_may_read(policy, path):
    may = {action: decide_path(policy, action, path).allowed for action in (Action.READ, Action.WRITE, Action.EXEC)}
    assert may[Action.READ] >= max(may[Action.WRITE], may[Action.EXEC])


@given(POLICIES, _PATHS, _ON_PATHS, _NAMES)
def test_what_is_below_is_allowed_too_unless_it_is_denied_itself(policy, path, action, name):
    below = f"{path.rstrip('/')}/{name}"
    if decide_path(policy, action, path).allowed:
        decision = decide_path(policy, action, below)
        assert decision.allowed or (decision.rule is not None and decision.rule.action is None)


@given(POLICIES, _PATHS, _ON_PATHS)
def test_the_rule_that_is_named_is_about_the_path(policy, path, action):
    decision = decide_path(policy, action, path)
    if decision.rule is not None:
        assert components(path)[: len(decision.rule.path)] == decision.rule.path
        assert (decision.rule.action is None) != decision.allowed


@given(POLICIES, _PATHS, _ON_PATHS, st.randoms())
def test_the_order_of_rules_does_not_matter(policy, path, action, random):
    shuffled = list(policy.rules)
    random.shuffle(shuffled)
    assert decide_path(Policy("r", tuple(shuffled)), action, path).allowed == decide_path(policy, action, path).allowed
