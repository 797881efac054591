"""Settings: one table, three spellings, one result."""

from __future__ import annotations

import argparse
import os
import re

import msgspec
import pytest

from wingo.cli.flags import add_settings
from wingo.errors import RequestError
from wingo.pipeline.settings import (
    BY_NAME,
    SETTINGS,
    Kind,
    Settings,
    anchored,
    from_environment,
    from_flags,
    from_toml,
    merge,
)

_EMPTY = {
    Kind.TEXT: "",
    Kind.NUMBER: 0,
    Kind.SWITCH: False,
    Kind.WORDS: (),
    Kind.LINES: (),
    Kind.MAP: {},
    Kind.TABLE: {},
}


def flags(*argv):
    parser = argparse.ArgumentParser()
    add_settings(parser)
    return from_flags(vars(parser.parse_args(argv)))


def toml(text):
    return from_toml(text, "wingo.toml")


# The table


def test_the_table_and_the_struct_have_the_same_settings_in_the_same_order():
    assert [setting.field for setting in SETTINGS] == list(Settings.__struct_fields__)
    assert [setting.name for setting in SETTINGS] == list(Settings.__struct_encode_fields__)
    assert len(BY_NAME) == len(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_has_the_shape_of_its_kind(setting):
    assert getattr(Settings(), setting.field) == _EMPTY[setting.kind]
    wanted = {
        Kind.TEXT: str,
        Kind.NUMBER: int,
        Kind.SWITCH: bool,
        Kind.WORDS: tuple[str, ...],
        Kind.LINES: tuple[str, ...],
        Kind.MAP: dict[str, str],
        Kind.TABLE: dict[str, object],
    }
    field = next(field for field in msgspec.structs.fields(Settings) if field.name == setting.field)
    assert field.type == wanted[setting.kind]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_can_be_explained(setting):
    assert setting.help
    assert not setting.help.endswith(".")
    assert setting.group
    if setting.flag and setting.kind is not Kind.SWITCH:
        assert setting.metavar
    in_file_alone = setting.kind is Kind.TABLE
    assert setting.variable == ("" if in_file_alone else "WINGO_" + setting.name.upper().replace("-", "_"))


def test_no_two_settings_share_a_letter():
    letters = [setting.short for setting in SETTINGS if setting.short]
    assert len(letters) == len(set(letters))
    assert not set(letters) & {"h", "q"}


def test_the_help_of_all_flags_can_be_printed():
    parser = argparse.ArgumentParser()
    add_settings(parser)
    text = parser.format_help()
    for setting in SETTINGS:
        assert (f"--{setting.name}" in text) == setting.flag, setting.name


def test_commands_other_than_build_get_only_the_settings_of_all():
    parser = argparse.ArgumentParser()
    add_settings(parser, everywhere_only=True)
    found = {action.dest for action in parser._actions} - {"help"}
    assert found == {setting.field for setting in SETTINGS if setting.everywhere}
    assert found


# One setting, three spellings

TEXTS = {
    Kind.TEXT: ("v", '"v"', "v"),
    Kind.NUMBER: ("3", "3", 3),
    Kind.WORDS: ("a,b", '["a", "b"]', ["a", "b"]),
    Kind.LINES: ("a,b", '["a,b"]', ["a,b"]),
    Kind.MAP: ("k=v=w", '{ k = "v=w" }', {"k": "v=w"}),
    Kind.SWITCH: ("true", "true", True),
}


IN_MANY_PLACES = [setting for setting in SETTINGS if setting.variable]


@pytest.mark.parametrize("setting", IN_MANY_PLACES, ids=lambda setting: setting.name)
def test_every_spelling_of_a_setting_means_the_same(setting):
    text, in_toml, value = TEXTS[setting.kind]
    assert toml(f"{setting.name} = {in_toml}") == {setting.name: value}
    assert from_environment({setting.variable: text}) == {setting.name: value}
    if setting.flag:
        argv = [f"--{setting.name}"] if setting.kind is Kind.SWITCH else [f"--{setting.name}", text]
        assert flags(*argv) == {setting.name: value}
        if setting.short:
            assert flags(f"-{setting.short}", text) == {setting.name: value}


def test_a_table_of_another_room_comes_as_it_stands():
    assert toml('[check]\nignore = ["WGO121"]') == {"check": {"ignore": ["WGO121"]}}


def test_nothing_said_is_nothing_set():
    assert flags() == from_environment({}) == toml("") == {}
    assert merge() == merge({}, {}) == Settings()


def test_a_list_may_be_spread_over_flags_and_commas():
    assert flags("--platform", "a,b", "--platform", " c ,, d") == {"platform": ["a", "b", "c", "d"]}
    assert from_environment({"WINGO_PLATFORM": "a, b\nc"}) == {"platform": ["a", "b", "c"]}
    assert toml('platform = "a,b"') == {"platform": ["a", "b"]}
    assert toml('platform = ["a", "b"]') == {"platform": ["a", "b"]}


def test_lines_keep_their_commas():
    assert flags("--arg", "a,b", "--arg", "c d") == {"arg": ["a,b", "c d"]}
    assert from_environment({"WINGO_ARG": "a,b\n\nc d\n"}) == {"arg": ["a,b", "c d"]}
    assert toml('arg = "a,b"') == {"arg": ["a,b"]}


def test_a_flag_is_taken_as_it_is_written():
    # An empty argument is one; a value may have lines of its own.
    assert flags("--arg", "", "--arg", "a\nb", "--arg", "  ") == {"arg": ["", "a\nb", "  "]}
    assert flags("--env", "KEY=-----BEGIN\nline\n-----END", "--env", "E=") == {
        "env": {"KEY": "-----BEGIN\nline\n-----END", "E": ""}
    }
    assert flags("--label", "a=b,c=d") == {"label": {"a": "b,c=d"}}
    assert flags("--ldflags", "-X main.v=1 -s") == {"ldflags": ["-X main.v=1 -s"]}


def test_a_map_in_a_variable_has_one_item_a_line():
    assert from_environment({"WINGO_ENV": "A=b c\nD=e=f\n"}) == {"env": {"A": "b c", "D": "e=f"}}


def test_whole_numbers_in_a_map_are_texts():
    assert toml("[env]\nPORT = 8080\nNAME = 'x'") == {"env": {"PORT": "8080", "NAME": "x"}}


def test_a_base_without_a_platform_is_for_all():
    assert toml('base = "nanoserver"') == {"base": {"": "nanoserver"}}
    assert toml('[base]\n"linux/arm64" = "static"') == {"base": {"linux/arm64": "static"}}
    assert flags("--base", "servercore", "--base", "linux=static") == {"base": {"": "servercore", "linux": "static"}}
    assert from_environment({"WINGO_BASE": "servercore\nlinux=static"}) == {
        "base": {"": "servercore", "linux": "static"}
    }


def test_files_with_attributes():
    text = '[files]\n"/a" = "src"\n"/b" = { source = "other", attributes = "data" }\n"/c" = { source = "x" }'
    assert toml(text) == {"files": {"/a": "src", "/b": "other\0data", "/c": "x"}}


@pytest.mark.parametrize("value", ['{ attributes = "data" }', "{ source = 1 }", '{ source = "a", mode = "b" }', "{}"])
def test_files_that_are_no_source_are_refused(value):
    with pytest.raises(RequestError, match=r"files.'/a' must be a path or \{ source"):
        toml(f'files = {{ "/a" = {value} }}')


@pytest.mark.parametrize("text", ["1", "true", "yes", "TRUE", "Yes"])
def test_switches_on(text):
    assert from_environment({"WINGO_PUSH": text}) == {"push": True}


@pytest.mark.parametrize("text", ["0", "false", "no", "No"])
def test_switches_off(text):
    assert from_environment({"WINGO_PUSH": text}) == {"push": False}
    assert merge(toml("push = true"), from_environment({"WINGO_PUSH": text})).push is False


@pytest.mark.parametrize("variable", [setting.variable for setting in SETTINGS if setting.variable])
def test_an_empty_variable_is_not_set(variable):
    assert from_environment({variable: ""}) == {}


def test_other_variables_are_not_read():
    assert from_environment({"WINGO_": "x", "WINGO_NOTHING": "x", "wingo_push": "1", "PUSH": "1"}) == {}


# Wrong values


@pytest.mark.parametrize("text", ["on", "2", "maybe", " ", "truee"])
def test_a_switch_that_is_neither_is_refused(text):
    with pytest.raises(RequestError, match="WINGO_PUSH must be true or false"):
        from_environment({"WINGO_PUSH": text})


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "", " 1", "1e3", "\u0663", "9" * 10, "9" * 5000, "0x10"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(RequestError, match="--jobs must be a whole number") as caught:
        flags(f"--jobs={text}")
    assert len(str(caught.value)) < 200


def test_fewer_jobs_than_none_are_refused():
    with pytest.raises(RequestError, match="jobs must not be less than 0"):
        toml("jobs = -1")
    assert toml("jobs = 0") == {"jobs": 0}


@pytest.mark.parametrize("item", ["x", "=x", " =x", ""])
def test_an_item_without_a_name_is_refused(item):
    with pytest.raises(RequestError, match="--env takes NAME=VALUE"):
        flags("--env", item)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("platfrom = []", "Did you mean 'platform'?"),
        ("data_dir = []", "Did you mean 'data-dir'?"),
        ("Push = true", "Did you mean 'push'?"),
        ("[lable]", "Did you mean 'label'?"),
        ("zzzzzz = 1", "See docs/reference/settings.md for the keys."),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(text, hint):
    with pytest.raises(RequestError, match=r"wingo\.toml: unknown key") as caught:
        toml(text)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "text",
    [
        "push = 1",
        'push = "yes"',
        'jobs = "3"',
        "jobs = 1.5",
        "jobs = true",
        "user = true",
        "user = []",
        "platform = 7",
        "platform = [7]",
        "platform = { a = 1 }",
        "arg = [[]]",
        'env = ["A=b"]',
        "env = { A = true }",
        "env = { A = 1.5 }",
        "env = { A = { B = 'c' } }",
        "env = 'A=b'",
        "base = 7",
        "base = []",
        "files = 'x'",
        "files = { a = 7 }",
        "permissions = { a = [] }",
        "user = 2024-01-01",
    ],
)
def test_a_value_of_the_wrong_type_is_refused(text):
    with pytest.raises(RequestError, match=r"wingo\.toml: .* must be ") as caught:
        toml(text)
    assert re.split(r"\W+", text)[0] in str(caught.value)
    assert "`" not in str(caught.value)


@pytest.mark.parametrize("flag", ["data_dir", "copy", "output"])
def test_an_empty_path_is_refused(flag):
    with pytest.raises(RequestError, match="is empty"):
        from_flags({flag: [""]})
    assert from_flags({"ldflags": [""], "arg": [""]})


@pytest.mark.parametrize(
    "text",
    ["push", "push =", "a = 1\na = 2", "[a", "\0", "x = 0001", "jobs = " + "9" * 5000, "x = " + "[" * 20_000],
)
def test_what_is_no_toml_is_refused(text):
    with pytest.raises(RequestError, match=r"wingo\.toml: ") as caught:
        toml(text)
    assert len(str(caught.value)) < 400


# Together


def test_flags_win_over_variables_and_those_over_the_file():
    layers = [
        toml('user = "file"\nworkdir = "file"\nplatform = ["file"]\nstop-signal = "file"'),
        from_environment({"WINGO_USER": "variable", "WINGO_WORKDIR": "variable", "WINGO_PLATFORM": "variable"}),
        flags("--user", "flag", "--platform", "flag"),
    ]
    settings = merge(*layers)
    assert (settings.user, settings.workdir, settings.stop_signal) == ("flag", "variable", "file")
    assert settings.platform == ("flag",)


def test_maps_are_merged_key_by_key():
    layers = [
        toml('[env]\nA = "file"\nB = "file"\nC = "file"'),
        from_environment({"WINGO_ENV": "B=variable\nC=variable"}),
        flags("--env", "C=flag", "--env", "D=flag"),
    ]
    assert merge(*layers).env == {"A": "file", "B": "variable", "C": "flag", "D": "flag"}
    assert layers[0] == {"env": {"A": "file", "B": "file", "C": "file"}}


def test_a_base_for_one_platform_leaves_the_others():
    settings = merge(toml('base = "servercore"'), flags("--base", "linux=static"))
    assert settings.base == {"": "servercore", "linux": "static"}
    assert merge(toml('base = "servercore"'), flags("--base", "nanoserver")).base == {"": "nanoserver"}


def test_a_switch_that_is_not_given_does_not_undo_the_files():
    assert merge(toml("push = true\nthin = true"), flags("--offline")).push is True


def test_paths_of_a_file_are_seen_from_its_directory():
    folder = os.path.join(os.sep, "project")
    values = toml(
        'ca-file = "ca.pem"\n'
        'metadata-file = "/abs/report.json"\n'
        'copy = ["conf:/etc/app:ro"]\n'
        'output = ["oci:out:v1", "registry.example/app"]\n'
        'files = { "/b" = { source = "b", attributes = "data" } }\n'
        'base = { "" = "oci:base", linux = "static" }\n'
        'user = "me"\n'
    )
    assert merge(anchored(values, folder)) == Settings(
        ca_file="/project/ca.pem",
        metadata_file="/abs/report.json",
        copy=("/project/conf:/etc/app:ro",),
        output=("oci:/project/out:v1", "registry.example/app"),
        files={"/b": "/project/b\0data"},
        base={"": "oci:/project/base", "linux": "static"},
        user="me",
    )
    assert values["ca-file"] == "ca.pem"
    assert anchored({}, folder) == {}


def test_a_number_may_stand_for_a_text() -> None:
    assert merge(from_toml("user = 65532", "wingo.toml")).user == "65532"


@pytest.mark.parametrize("mirror", ["", " ", "https://mirror.example"])
def test_a_mirror_that_is_no_host_is_refused(mirror):
    with pytest.raises(RequestError, match=r"the mirror of mcr\.microsoft\.com is"):
        from_flags({"mirrors": [f"mcr.microsoft.com={mirror}"]})


def test_a_variable_that_is_nearly_a_setting_is_refused() -> None:
    with pytest.raises(RequestError, match="WINGO_PLATFROM") as caught:
        from_environment({"WINGO_PLATFROM": "ltsc2022"})
    assert "WINGO_PLATFORM" in caught.value.hint
    assert from_environment({"WINGO_CACHE_DIR": "/x", "WINGO_VERSION": "1", "WINGO_FUZZ": "1"}) == {}
