"""The language against BuildKit's own parser and shell lexer, compiled from the Go module proxy (`tests/system/buildkit`).

Our cases are written here and changed at random in a fixed order; BuildKit's published cases are run as well where they
are (`BUILDKIT_CHECKOUT` names a checkout of moby/buildkit).
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from tests.needs import VECTORS, missing, need_tool
from wingo.dockerfile.expand import ExpansionError, expand, split_expanded
from wingo.dockerfile.ignore import IgnorePatterns
from wingo.dockerfile.nodes import Node, read_nodes
from wingo.dockerfile.parse import parse_dockerfile
from wingo.dockerfile.source import DockerfileError
from wingo.errors import RequestError

CHECKOUT = os.environ.get("BUILDKIT_CHECKOUT") or str(VECTORS / "buildkit")
_SOURCE = Path(__file__).parent / "buildkit"


class Oracle:
    """BuildKit, asked one question a line."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **question: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    need_tool("go")
    program = tmp_path_factory.mktemp("buildkit") / "oracle"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=readonly"}
    subprocess.run(["go", "build", "-o", program, "."], cwd=_SOURCE, env=environment, check=True)
    oracle = Oracle(program)
    with oracle.process:
        yield oracle
        oracle.process.kill()


def _flat(node: Node) -> list[object]:
    child = _flat(node.child) if node.child is not None else None
    return [node.keyword.lower(), list(node.flags), list(node.arguments), child]


def difference(text: str, oracle: Oracle) -> str:
    """What BuildKit reads differently; "" when nothing."""
    theirs = oracle.ask(Dockerfile=text)
    try:
        nodes = read_nodes(text.encode(), "Dockerfile")
    except DockerfileError as error:
        return "" if theirs["error"] or "ONBUILD ONBUILD" in str(error) else f"we refuse: {error}"
    if theirs["error"]:
        return f"BuildKit refuses: {theirs['error']}"
    differing = [pair for pair in zip_longest(theirs["nodes"], map(_flat, nodes.nodes)) if pair[0] != pair[1]]
    if differing:
        return f"{differing[0][0]} != {differing[0][1]}"
    if theirs["lines"] != (lines := [[node.at.line, node.at.end_line] for node in nodes.nodes]):
        return f"{theirs['lines']} != {lines}"
    heredocs = [[h.name, h.content, h.expand, h.chomp, h.descriptor] for node in nodes.nodes for h in node.heredocs]
    if (theirs["heredocs"] or []) != heredocs:
        return f"{theirs['heredocs']} != {heredocs}"
    try:
        parsed = parse_dockerfile(text.encode())
    except DockerfileError as error:
        return "" if theirs["instruction"] or _stricter(str(error)) else f"we refuse: {error}"
    if theirs["instruction"]:
        return f"BuildKit refuses: {theirs['instruction']}"
    stages = [
        [s.start.name, s.start.image, s.start.platform, [type(i).__name__.lower() for i in s.instructions]]
        for s in parsed.stages
    ]
    found = [
        [name, base, platform, [word.lower() for word in words]] for name, base, platform, words in theirs["stages"]
    ]
    return "" if stages == found else f"{found} != {stages}"


def _by_bytes(text: str) -> bool:
    """BuildKit takes the bytes of flags one by one, so that characters beyond ASCII come out as others."""
    return re.search(r"[^\x00-\x7f]", text) is not None and "--" in text


def _stricter(message: str) -> bool:
    """Where we refuse at once what BuildKit refuses later, when it builds: no FROM, and ONBUILD's instruction."""
    return "has no FROM" in message or "ONBUILD" in message or "devices" in message or "--mount" in message


CASES = [
    "# syntax=docker/dockerfile:1\n# escape=`\nFROM a AS B\nRUN dir C:\\`\n  x\nCOPY a\\ b C:\\\n",
    "# a\n# escape=`\nFROM x\\\n:y\nRUN a\\\\\nRUN b \\\n# comment\n\n  c\nRUN d\\ \t\n e\n",
    "ARG A=v # comment\nFROM image:\"${A}\"\nENV a=b c='d e' f=\"g h\" i\\ j=k\nENV old style  value here\n",
    "FROM x\nRUN <<EOF\necho $a\n\tb\nEOF\nRUN cat <<-'A' 3<<\"B C\" && x\n\t1\n\tA\n2\nB C\nCOPY <<a <<b /dst/\n1\na\n2\nb\n",
    'FROM x\nCMD ["a", "b\\u0041\\n"]\nCMD [ "a" ] x\nCMD ["a", \'b\']\nRUN [ 1, 2\nRUN ["a","b"\nVOLUME ["a","b"]\nVOLUME a b\n',
    'FROM x\nHEALTHCHECK --interval=5s --timeout=1m30s --retries=3 CMD ["a","b"]\nHEALTHCHECK CMD curl x | y\nHEALTHCHECK NONE\n',
    'FROM x\nONBUILD RUN a b\nONBUILD COPY --from=q ["a","b"]\nONBUILD ENV a=b c=d\nSTOPSIGNAL SIGTERM\nUSER a:b\n',
    "FROM --platform=$BUILDPLATFORM golang:1.21 AS b\nRUN --mount=type=cache,target=/x --network=none -- --flag a\nCOPY --from=b --chown=1:2 --chmod=755 --link a b /c/\n",
    "FROM x\nCOPY --parents --exclude=*.md --exclude=a --link=false ./ /x\nADD --checksum=sha256:00 --keep-git-dir https://x/y z\n",
    'FROM x\nLABEL a=b "c d"=e\nEXPOSE 80 90/udp\nMAINTAINER  me  you \nSHELL ["cmd", "/S", "/C"]\nWORKDIR C:\\a b\n',
    "from scratch\ncopy a b\nworkdir /x\nEnv x y\\\n z\n",
    "FROM x\nRUN echo \\\n\n\n  # c\n  a \\\n\nRUN b\n",
    "\ufeffFROM x\r\nRUN a \\\r\n  b\r\nCOPY <<E /x\r\n1\r\nE\r\n",
    "FROM x\nENTRYPOINT [\"a\"]\nENTRYPOINT a \"b c\" $d\nARG a b=c d='e f'\nENV \\a=1\nENV a=\"b\\\"c\" d=e\\\\ f=$g\n",
    'FROM x\nRUN é\u00a0ü \\\n ñ\nENV à="ç d"\nLABEL ♥=☃\n',
]  # fmt: skip
BAD = [
    "", "# only\n# comments\n", "RUN a\n", "FROM\n", "FROM a b\n", "FROM a AS 1\n", "FROM a AS b c\n", "FROM x\nENV a\n",
    "FROM x\nENV a=b c\n", "FROM x\nENV =b\n", "FROM x\nLABEL\n", "FROM x\nCOPY a\n", "FROM x\nADD\n", "FROM x\nFOO a\n",
    'FROM x\nCMD [["a"]]\n', "FROM x\nRUN [1]\n", "FROM x\nSHELL cmd\n", "FROM x\nSHELL []\n", "FROM x\nCOPY --bad=a b c\n",
    "FROM x\nCOPY --from b c\n", "FROM x\nCOPY --link=x b c\n", "FROM x\nCOPY --from=a --from=b b c\n",
    "FROM x\nHEALTHCHECK\n", "FROM x\nHEALTHCHECK NONE a\n", "FROM x\nHEALTHCHECK BAD a\n", "FROM x\nHEALTHCHECK CMD\n",
    "FROM x\nHEALTHCHECK --interval=1 CMD a\n", "FROM x\nHEALTHCHECK --retries=-1 CMD a\n", "FROM x\nRUN <<E\na\n",
    "FROM x\nHEALTHCHECK --interval=1us CMD a\n", "FROM x\nONBUILD\n", "FROM x\nONBUILD FROM y\n", "FROM x\nONBUILD ONBUILD RUN a\n",
    "FROM x\nONBUILD MAINTAINER y\n", "FROM x\nVOLUME\n", 'FROM x\nVOLUME [""]\n', "FROM x\nEXPOSE\n", "FROM x\nWORKDIR\n",
    "FROM x\nUSER\n", "FROM x\nSTOPSIGNAL\n", "FROM x\nARG\n", "FROM x\nARG =a\n", "# escape=x\nFROM x\n",
    "# escape=`\n# escape=`\nFROM x\n", "FROM --platform a\n", "FROM x\nRUN --network=bad a\n", "FROM x\nRUN --security=bad a\n",
    "FROM x\nCOPY a <<E\n1\nE\n", "\\\n", "FROM x\nRUN --mount=type=bad a\n", "FROM x\nMAINTAINER\n", "FROM x\n" + "a" * 70000 + "\n",
]  # fmt: skip
WORDS = [
    "hello", "'a b'", '"a $A c"', "$A", "${A}", "x${A}y$B", "\\$A", '"\\$A"', "'$A'", "${U}", "${U:-d}", "${U-d}", "${E:-d}",
    "${E-d}", "${A:+s}", "${A+s}", "${E:+s}", "${E+s}", "${U+s}", "${A:?}", "${U:?no $A}", "${E:?}", "${E?}", "${U?}",
    "${A#*l}", "${A##*l}", "${A%l*}", "${A%%l*}", "${A/l/L}", "${A//l/L}", "${A//l*/x}", "${A//*/y}", "${A/\\//x}", "${P//\\//-}",
    "${P#*/}", "${P##*/}", "${P%/*}", "${P%%/*}", "${U:-${A}}", "${U:-'a b'}", '${U:-"a $B"}', "${A:=x}", "${A:#x}", "${", "${}",
    "${A", "${:A}", "${{A}}", "'a", '"a', "a\\", '"a\\', "$", "$.", "$1x", "$$", "a<b", "a<<b", "<< E", "${A@Q}", "é$A",
    "${A/h/\\}}", "${A#\\x}", "${A#h?l}", "${A%?}", "${A%%*}", "a  b\tc", "'a b' c\\ d", "$S", '"$S" x', "`$A", "${A:-}", "${A/}",
    "${A//}", "${A/l}", "${U/l/x}", "${N//?/x}", "${N#*}", "${A/#h/x}", "${A-b}c}", "a'b'c\"d\"e", "\\a\\b", "${S// /_}",
]  # fmt: skip
_VARIABLES = {"A": "hello", "B": "wor ld", "E": "", "P": "/a/b/c.tar.gz", "S": " x  y z ", "N": "1\n2"}


def _mutations(texts: list[str], count: int) -> Iterator[str]:
    """Texts with a few characters or lines taken out, doubled, put elsewhere."""
    chance = random.Random(20261125)
    alphabet = " \\`\"'$<>\n\t#[],=-{}:/a\u00e9E"
    for _ in range(count):
        text = chance.choice(texts)
        for _ in range(chance.randint(1, 4)):
            at, length = chance.randint(0, len(text)), chance.randint(0, 3)
            match chance.randint(0, 3):
                case 0:
                    text = text[:at] + text[at + length :]
                case 1:
                    text = text[:at] + chance.choice(alphabet) + text[at:]
                case 2:
                    other = chance.choice(texts)
                    begin = chance.randint(0, len(other))
                    text = text[:at] + other[begin : begin + 20] + text[at:]
                case _:
                    lines = text.split("\n")
                    chance.shuffle(lines)
                    text = "\n".join(lines)
        yield text


@pytest.mark.parametrize("text", CASES + BAD)
def test_cases(oracle: Oracle, text: str) -> None:
    assert not difference(text, oracle)


def test_bad_cases_are_bad() -> None:
    for text in BAD:
        with pytest.raises(DockerfileError) as raised:
            parse_dockerfile(text.encode())
        assert str(raised.value).startswith("Dockerfile:"), text


def test_changed_cases(oracle: Oracle) -> None:
    differing = [
        (text, found) for text in _mutations(CASES, 3000) if not _by_bytes(text) and (found := difference(text, oracle))
    ]
    assert not differing, f"{len(differing)}: {differing[0][0]!r}: {differing[0][1]}"


def test_expansion(oracle: Oracle) -> None:
    env = [f"{name}={value}" for name, value in _VARIABLES.items()]
    for word in (*WORDS, *_mutations(WORDS, 4000)):
        for escape in "\\`":
            theirs = oracle.ask(Word=word, Env=env, Escape=escape)
            try:
                ours, error = expand(word, _VARIABLES, escape).text, ""
            except ExpansionError as raised:
                ours, error = "", str(raised)
            assert bool(theirs["error"]) == bool(error), (word, escape, theirs["error"], error)
            assert theirs["result"] == ours, (word, escape)
            try:
                words = split_expanded(word, _VARIABLES, escape)
            except ExpansionError:
                words = []
            if not re.search(r"\$\{\w*[^}\w]", word):
                # In ProcessWords a substitution with a word in it drops the words' beginnings (one buffer for both).
                assert (theirs["words"] or []) == words, (word, escape)


IGNORES = [
    ["*"], ["*", "!a"], ["**/*.go", "!**/x.go"], ["a/b", "!a/b/c"], ["a*"], ["a?c"], ["[a-c]x"], ["[^a]x"], ["a/**"],
    ["**/b"], ["**"], ["a/**/c"], ["\\*"], ["a/", "b//c"], ["/a"], ["./a"], ["a/../b"], ["*.go", "!"], ["!a"],
    ["a**b"], ["**/"], ["a/*/c"], [".git"], ["*", "!b/*"], ["a b"], ["[a"], ["x[]a]"], ["a\\"], ["*", "!*/", "!**/*.go"], ["a.b"],
]  # fmt: skip
PATHS = [
    "a", "b", "abc", "ax", "bx", "dx", "a/b", "a/b/c", "a/x/c", "a/b/c/d", "x.go", "a/x.go", "a/y.go", "*", ".git", ".git/x",
    "b/c", "b", "axxb", "a b", "a/x/y/c", "aXb", "a.b", "axb", "b/x.go", "é", "a/é.go",
]  # fmt: skip


def test_ignore_patterns(oracle: Oracle) -> None:
    chance = random.Random(7)
    pool = [pattern for patterns in IGNORES for pattern in patterns]
    many = IGNORES + [chance.sample(pool, chance.randint(1, 4)) for _ in range(300)]
    for patterns in many:
        theirs = oracle.ask(Patterns=patterns, Paths=PATHS)
        try:
            ignore = IgnorePatterns(patterns)
            ours, error = [ignore.ignores(path) for path in PATHS], ""
        except RequestError as raised:
            ours, error = [], str(raised)
        assert bool(theirs["error"]) == bool(error), (patterns, theirs["error"], error)
        if not error:
            wrong = [path for path, one, two in zip(PATHS, ours, theirs["ignored"], strict=True) if one != two]
            assert not wrong, (patterns, wrong)


@pytest.mark.parametrize(
    "checkout", [CHECKOUT if os.path.isdir(CHECKOUT) else pytest.param(CHECKOUT, marks=pytest.mark.peers)]
)
def test_published_cases(oracle: Oracle, checkout: str) -> None:
    """BuildKit's own cases, which are not ours to ship: BUILDKIT_CHECKOUT names a checkout of moby/buildkit."""
    if not os.path.isdir(checkout):
        missing("a checkout of moby/buildkit, named by BUILDKIT_CHECKOUT,")
    folder = Path(checkout) / "frontend/dockerfile/parser"
    good = sorted(folder.glob("testfiles/*/Dockerfile"))
    assert good
    for path in good:
        text = path.read_text()
        assert not difference(text, oracle), path
        # The nodes are as the program's; that it is the BuildKit of the published results is seen from its own form.
        assert oracle.ask(Dockerfile=text)["dump"] + "\n" == path.with_name("result").read_text(), path
    bad = sorted(folder.glob("testfiles-negative/*/Dockerfile"))
    assert bad
    for path in bad:
        with pytest.raises(DockerfileError):
            read_nodes(path.read_bytes(), "Dockerfile")
    variables = {"PWD": "/home", "SHELL": "bash", "KOREAN": "한국어", "NULL": ""}
    checked = 0
    for line in (Path(checkout) / "frontend/dockerfile/shell/envVarTest").read_text().splitlines():
        body = line.split("#")[0].strip() if line.startswith("#") else line
        words = body.split("|")
        if len(words) != 3 or words[0].strip() not in ("A", "U"):
            continue
        source, wanted = words[1].strip(), words[2].strip()
        checked += 1
        try:
            assert expand(source, variables, "\\").text == wanted, line
        except ExpansionError:
            assert wanted == "error", line
    assert checked > 50
