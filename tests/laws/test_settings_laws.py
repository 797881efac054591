"""Laws of the settings: the three spellings mean the same, merging is what it says."""

from __future__ import annotations

import argparse
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wingo.cli.flags import add_settings
from wingo.errors import RequestError
from wingo.pipeline.settings import SETTINGS, Kind, from_environment, from_flags, from_toml, merge

# What is tried counts, not how long it takes on a machine that has other work.
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PARSER = argparse.ArgumentParser()
add_settings(PARSER)

# A variable has one item a line, and TOML no control characters.
lines = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=12).filter(str.strip)
words = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=","), min_size=1, max_size=12)
keys = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="="), min_size=1, max_size=12)
_VALUES = {
    Kind.TEXT: lines,
    Kind.NUMBER: st.integers(0, 999_999_999),
    Kind.SWITCH: st.just(value=True),
    Kind.WORDS: st.lists(words, min_size=1, max_size=3),
    Kind.LINES: st.lists(lines, min_size=1, max_size=3),
    Kind.MAP: st.dictionaries(keys, lines, min_size=1, max_size=3),
}
WITH_FLAGS = [setting for setting in SETTINGS if setting.flag]
values = st.fixed_dictionaries({}, optional={setting.name: _VALUES[setting.kind] for setting in WITH_FLAGS})
BY_NAME = {setting.name: setting for setting in SETTINGS}


def items_of(value):
    return [f"{key}={item}" for key, item in value.items()] if isinstance(value, dict) else value


def as_flags(chosen):
    argv = []
    for name, value in chosen.items():
        if value is True:
            argv.append(f"--{name}")
        else:
            many = items_of(value) if isinstance(value, list | dict) else [value]
            argv += [f"--{name}={item}" for item in many]
    return from_flags(vars(PARSER.parse_args(argv)))


def as_environment(chosen):
    def text(value):
        if isinstance(value, list | dict):
            return "\n".join(items_of(value))
        return "true" if value is True else str(value)

    return from_environment({BY_NAME[name].variable: text(value) for name, value in chosen.items()})


def as_toml(chosen):
    def text(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{text(key)} = {text(item)}" for key, item in value.items()) + "}"
        return json.dumps(value, ensure_ascii=False)

    return from_toml("\n".join(f"{name} = {text(value)}" for name, value in chosen.items()), "wingo.toml")


@calmly
@given(values)
def test_the_three_spellings_mean_the_same(chosen):
    assert as_flags(chosen) == as_environment(chosen) == as_toml(chosen) == chosen


@calmly
@given(values, values, values)
def test_merging_goes_from_left_to_right(first, second, third):
    merged = merge(first, second, third)
    for setting in SETTINGS:
        given_values = [layer[setting.name] for layer in (first, second, third) if setting.name in layer]
        found = getattr(merged, setting.field)
        if not given_values:
            assert not found
        elif setting.kind is Kind.MAP:
            assert found == {key: value for layer in given_values for key, value in layer.items()}
        else:
            last = given_values[-1]
            assert found == (tuple(last) if isinstance(last, list) else last)


@calmly
@given(values)
def test_merging_with_nothing_changes_nothing(chosen):
    assert merge({}, chosen, {}) == merge(chosen) == merge(chosen, chosen)


@calmly
@given(st.text(max_size=60) | st.text('[]{}="\n.,#platformpushenv1', max_size=60))
def test_any_file_is_read_or_refused_never_anything_else(text):
    try:
        merge(from_toml(text, "wingo.toml"))
    except RequestError:
        pass


@calmly
@given(
    st.dictionaries(
        st.sampled_from([setting.variable for setting in SETTINGS if setting.variable]),
        st.text(max_size=20),
        max_size=3,
    )
)
def test_any_environment_is_read_or_refused_never_anything_else(environment):
    try:
        merge(from_environment(environment))
    except RequestError:
        pass
