"""The language by examples; all of BuildKit's cases are in tests/system/test_buildkit_language.py."""

from __future__ import annotations

import time

import pytest

from wingo.dockerfile.expand import ExpansionError, expand
from wingo.dockerfile.ignore import IgnorePatterns, clean_path, compile_wildcards, read_ignore_file
from wingo.dockerfile.instructions import Add, Arg, Copy, Env, Healthcheck, Onbuild, Run, Shell
from wingo.dockerfile.mounts import Mount, MountKind, parse_mount
from wingo.dockerfile.nodes import MAX_DOCKERFILE_BYTES, read_nodes
from wingo.dockerfile.parse import parse_dockerfile, parse_trigger
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.errors import RequestError

_AT = At("Dockerfile", 1)


def test_two_escapes_continue_nothing() -> None:
    nodes = read_nodes(b"ARG A=C:\\x\\\\\nFROM b\\\n:c\n", "Dockerfile").nodes
    assert [(node.keyword, node.arguments) for node in nodes] == [("ARG", ("A=C:\\x\\\\",)), ("FROM", ("b:c",))]


def test_backtick() -> None:
    parsed = parse_dockerfile(b"# escape=`\n# syntax=docker/dockerfile:1\nFROM x\nCOPY a `\n  C:\\b\\\n")
    assert (parsed.escape, parsed.syntax) == ("`", "docker/dockerfile:1")
    copy = parsed.stages[0].instructions[0]
    assert isinstance(copy, Copy)
    assert copy.destination == "C:\\b\\"
    assert (copy.at.line, copy.at.end_line) == (4, 5)


def test_words_after_a_comment_sign_are_more_arguments() -> None:
    assert parse_dockerfile(b"ARG A=v # the rest\nFROM x\n").arguments == (
        Arg(At("Dockerfile", 1, 1, "ARG A=v # the rest"), (("A", "v"), ("#", None), ("the", None), ("rest", None))),
    )


def test_stages() -> None:
    parsed = parse_dockerfile(b"FROM a AS One\nFROM --platform=linux/arm64 b\nFROM one AS one\n")
    assert [stage.name for stage in parsed.stages] == ["one", "1", "one"]
    assert parsed.find_stage("ONE", before=2) == parsed.stages[0]
    assert parsed.find_stage("one") == parsed.stages[2]
    assert parsed.find_stage("1") == parsed.stages[1]
    assert parsed.find_stage("3") is None
    assert parsed.find_stage("1", before=1) is None


def test_instructions() -> None:
    parsed = parse_dockerfile(
        b"FROM x\n"
        b'SHELL ["powershell", "-Command"]\n'
        b"RUN --mount=type=cache,target=/c --network=none go build\n"
        b"ADD --checksum=sha256:1 --unpack=false https://a/b c\n"
        b"HEALTHCHECK --interval=1m30s --retries=2 CMD curl x\n"
        b"ONBUILD COPY . /x\n"
        b"ENV a=1 b='2 3'\n"
        b"COPY <<-EOF <<'raw' /d/\n\tone $a\n\tEOF\ntwo $a\nraw\n"
    )
    shell, run, add, health, onbuild, env, copy = parsed.stages[0].instructions
    assert isinstance(shell, Shell)
    assert shell.arguments == ("powershell", "-Command")
    assert isinstance(run, Run)
    assert (run.command.text, run.mounts, run.network) == ("go build", ("type=cache,target=/c",), "none")
    assert isinstance(add, Add)
    assert (add.checksum, add.unpack, add.keep_git_dir) == ("sha256:1", False, None)
    assert isinstance(health, Healthcheck)
    assert (health.interval, health.retries, health.test) == (90 * 10**9, 2, ("CMD-SHELL", "curl x"))
    assert isinstance(onbuild, Onbuild)
    assert onbuild.expression == "COPY . /x"
    assert isinstance(env, Env)
    assert env.pairs == (("a", "1"), ("b", "'2 3'"))
    assert isinstance(copy, Copy)
    assert [(item.name, item.text, item.expand) for item in copy.documents] == [
        ("EOF", "one $a\n", True),
        ("raw", "two $a\n", False),
    ]


def test_errors_point_to_the_line() -> None:
    with pytest.raises(DockerfileError) as raised:
        parse_dockerfile(b"FROM x\n\nRUN a \\\n b\nCOPPY a b\n", "build/Dockerfile")
    assert str(raised.value) == "build/Dockerfile:5: unknown instruction 'COPPY'\n     5 | COPPY a b"
    assert raised.value.hint == "Did you mean COPY?"


def test_control_characters_are_not_shown_raw() -> None:
    with pytest.raises(DockerfileError) as raised:
        parse_dockerfile(b"FROM x\nCOPPY \x1b[31m\n")
    assert "\x1b" not in str(raised.value)
    assert printable("a\x07\u202eb\n") == "a\\x07\\u202eb\\n"


def test_too_large_is_refused_at_once() -> None:
    started = time.monotonic()
    for data in (
        b"#" * (MAX_DOCKERFILE_BYTES + 1),
        b"FROM x\nRUN " + b"a" * (1 << 17),
        b"FROM x\nRUN " + b"a" * 30000 + (b"\\\n" + b"a" * 30000) * 100,
        b"FROM x\n" + b"RUN a\n" * 100_000,
        b"FROM x\nRUN " + b"<<A " * 2000 + b"\n" + b"A\n" * 2000,
        b"FROM x\nONBUILD ONBUILD " + b"ONBUILD " * 5000,
        b"FROM x\nRUN " + b"[" * 60000 + b"]" * 5000,
        b"FROM x\nRUN <<A\n" + b"a\n" * 100,
    ):
        try:
            parse_dockerfile(data)
        except DockerfileError:
            continue
        assert data.startswith(b"FROM x\nRUN [[")  # no JSON, so a command
    assert time.monotonic() - started < 5


def test_expansion() -> None:
    variables = {"A": "x/y.z", "E": ""}
    assert expand("${A%.*}-${E:-none}${U+set}$$U\\$A'$A'", variables, "\\").text == "x/y-noneU$A$A"
    assert expand("$U${V}", variables, "\\").unset == ("U", "V")
    assert expand("C:\\$A", variables, "`").text == "C:\\x/y.z"
    with pytest.raises(ExpansionError, match="U: say U"):
        expand("${U:?say U}", variables, "\\")


@pytest.mark.parametrize("word", ["${A", "'", '"', "${}", "${A:%x}", "${A@}", "${a:-" * 300 + "}" * 300, "$A" * 30000])
def test_bad_expansion(word: str) -> None:
    with pytest.raises(ExpansionError):
        expand(word, {"A": "a" * 1000}, "\\")


def test_hostile_patterns_take_no_time() -> None:
    started = time.monotonic()
    value = "a" * 4000
    expand("${A##*a*a*a*a*a*a*a*a*a*b}${A//*a*a*a*a*a*b/x}${A%%b*a*a*a*a*a*a}", {"A": value}, "\\")
    patterns = IgnorePatterns(["a*a*a*a*a*a*a*a*a*a*a*a*b", "**/a*a*a*a*a*a*b", "!**/*a*a/**/c"])
    assert not patterns.ignores("/".join(["a" * 200] * 20))
    assert time.monotonic() - started < 3


def test_triggers() -> None:
    assert isinstance(parse_trigger("RUN a", "\\", "base"), Run)
    for expression in ("FROM x", "ONBUILD RUN a", "RUN a\nRUN b", "NONE"):
        with pytest.raises(DockerfileError):
            parse_trigger(expression, "\\", "base")


def test_mounts() -> None:
    def read(text: str) -> Mount:
        return parse_mount(text, _AT, lambda value: value.replace("$X", "x"))

    assert read("type=cache,target=/$X,id=$X") == Mount(kind=MountKind.CACHE, target="/x", id="x", read_only=False)
    assert read("from=a,source=b,target=c,rw").read_only is False
    assert read("type=tmpfs,dst=/t,size=64m").size == 64 << 20
    assert read("type=secret,id=a,env=B,required").env == "B"
    for bad in ("type=x", "type=secret", "type=bind,size=1", "target", "mode=755", "type=cache,mode=9", "a=b", "sharing=locked",
                "type=tmpfs,size=x", "ro=maybe", "required", "type=secret,id=a,from=b"):  # fmt: skip
        with pytest.raises(DockerfileError):
            read(bad)
    with pytest.raises(DockerfileError, match="takes no variables"):
        parse_dockerfile(b"FROM x\nRUN --mount=from=$A,target=/x a\n")


def test_ignore_files() -> None:
    data = b"\xef\xbb\xbf# comment\n\n/build/ \n!  build/keep \n**/*.tmp\n"
    assert read_ignore_file(data) == ("build", "!build/keep", "**/*.tmp")
    patterns = IgnorePatterns(read_ignore_file(data))
    asked = {
        path: patterns.ignores(path) for path in ("build", "build/a", "build/keep", "build/keep/b", "x/y.tmp", "x")
    }
    assert [path for path, ignored in asked.items() if ignored] == ["build", "build/a", "x/y.tmp"]
    assert patterns.takes_back
    for bad in ("!", "[a", "a\\", "**/**/**/**/**/x"):
        with pytest.raises(RequestError):
            IgnorePatterns([bad])


def test_wildcards() -> None:
    assert compile_wildcards("a*[!-x]?.go")("abc!d.go")
    assert not compile_wildcards("*")("a/b")
    assert not compile_wildcards("a**b")("a/b")
    assert clean_path("/../a//./b/../c/") == "/a/c"
    assert clean_path("../a/..") == ".."
