"""Properties of the lowering of Windows steps: nothing that people write breaks it, and its layers say what its trees say."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dockerfile.lowering.stages import plan_stage, stage
from wingo.archive.entry import Entry
from wingo.dockerfile.lowering import Impossible, Lowered, Needs, State, Tree, ViewBase, layer_requests, lower
from wingo.dockerfile.lowering.cmd.syntax import expand_percent, split_words
from wingo.dockerfile.lowering.outcome import CommandFailed
from wingo.dockerfile.lowering.powershell.nodes import Const, Pipeline
from wingo.dockerfile.lowering.powershell.parser import parse_script
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Kind
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.view.layer import read_layer
from wingo.view.merged import make_view
from wingo.windows.layer import plan_layer
from wingo.windows.paths import path_text

_CMD = [
    "echo",
    "set",
    "if",
    "for",
    "do",
    "in",
    "not",
    "exist",
    "else",
    "(",
    ")",
    "&",
    "&&",
    "|",
    "||",
    ">",
    ">>",
    "<",
    "2>&1",
    "nul",
    "^",
    '"',
    "%",
    "%A%",
    "%i",
    "%~nxi",
    "%A:~1%",
    "@",
    "goto",
    ":a",
    "call",
    "exit",
    "/b",
    "mkdir",
    "del",
    "rd",
    "copy",
    "move",
    "ren",
    "type",
    "mklink",
    "/d",
    "/h",
    "cd",
    "pushd",
    "popd",
    "setx",
    "/M",
    "reg",
    "add",
    "HKLM\\Software\\X",
    "/v",
    "N",
    "/f",
    "sc",
    "config",
    "start=",
    "disabled",
    "curl",
    "-o",
    "tar",
    "-xf",
    "icacls",
    "/grant",
    "Users:F",
    "powershell",
    "-Command",
    "cmd",
    "/c",
    "x.exe",
    "--version",
    "C:\\a",
    "..\\b",
    "*.txt",
    "a=b",
    "==",
    "equ",
    "1",
    "/s",
    "/q",
    "\\",
    "/",
    ";",
    ",",
    "=",
    "\n",
]
_POWERSHELL = [
    "$x",
    "$env:PATH",
    "${a",
    "b}",
    "=",
    "+=",
    ";",
    "|",
    "&",
    "&&",
    "{",
    "}",
    "(",
    ")",
    "$(",
    "@(",
    "@{",
    "[",
    "]",
    "[int]",
    "[Environment]::SetEnvironmentVariable(",
    "'",
    '"',
    '\\"',
    "`",
    ",",
    ".",
    "..",
    ".Replace(",
    "-eq",
    "-ne",
    "-and",
    "-not",
    "-f",
    "-replace",
    "-split",
    "if",
    "else",
    "elseif",
    "foreach",
    "for",
    "while",
    "function",
    "param",
    "try",
    "catch",
    "throw",
    "return",
    "exit",
    "break",
    "switch",
    "in",
    "New-Item",
    "-Path",
    "-ItemType",
    "Directory",
    "-Force",
    "mkdir",
    "rm",
    "Remove-Item",
    "Copy-Item",
    "Test-Path",
    "Get-Content",
    "Set-Content",
    "Out-Null",
    "%",
    "?",
    "iex",
    "1",
    "2.5",
    "1kb",
    "'a'",
    "C:\\x",
    "*.txt",
    "@x",
    "-:",
    "--%",
    "#",
    "<#",
    "#>",
    "\n",
    "2>&1",
    ">",
    "$null",
    "Expand-Archive",
    "Invoke-WebRequest",
    "-Uri",
    "https://registry.example/x",
    "-OutFile",
]


def texts(words: list[str]) -> st.SearchStrategy[str]:
    piece = st.one_of(st.sampled_from(words), st.text(max_size=4))
    return st.lists(piece, max_size=14).flatmap(
        lambda parts: st.sampled_from(["", " "]).map(lambda between: between.join(parts))
    )


@settings(max_examples=300, deadline=None)
@given(texts(_CMD), st.booleans())
def test_any_text_under_cmd_has_an_outcome(text: str, planning: bool) -> None:
    state = plan_stage() if planning else stage({"a/b.txt": b"x"})
    assert isinstance(lower(text, state=state), Lowered | Impossible | Needs)


@settings(max_examples=300, deadline=None)
@given(texts(_POWERSHELL), st.booleans())
def test_any_text_under_powershell_has_an_outcome(text: str, planning: bool) -> None:
    state = plan_stage() if planning else stage({"a/b.txt": b"x"})
    assert isinstance(lower(text, ("powershell", "-Command"), state), Lowered | Impossible | Needs)


@given(st.text())
def test_a_text_in_single_quotes_is_itself(text: str) -> None:
    quoted = "'" + text.replace("'", "''").replace("\u2018", "\u2018\u2018").replace("\u2019", "\u2019\u2019") + "'"
    quoted = quoted.replace("\u201a", "\u201a\u201a").replace("\u201b", "\u201b\u201b")
    (statement,) = parse_script(quoted).body
    assert isinstance(statement, Pipeline)
    expected = text
    for mark in "\u2018\u2019\u201a\u201b":
        expected = expected.replace(mark, "'")
    assert statement.elements == (Const(expected),)


@given(st.lists(st.text(st.characters(exclude_characters='"', exclude_categories=["Cc"]), min_size=1), max_size=5))
def test_quoted_words_of_cmd_come_back(words: list[str]) -> None:
    assert split_words(" ".join(f'"{word}"' for word in words)) == words


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_without_a_percent_sign_nothing_is_expanded(text: str, variables: dict[str, str]) -> None:
    plain = text.replace("%", "")
    assert expand_percent(plain, variables.get, batch=False) == plain
    assert expand_percent(plain, variables.get, batch=True) == plain


# Layers

_NAMES = st.sampled_from(["a", "A", "b", "c.txt", "sub"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map(tuple)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mkdir"), _PATHS, _PATHS),
        st.tuples(st.just("write"), _PATHS, _PATHS),
        st.tuples(st.just("remove"), _PATHS, _PATHS),
        st.tuples(st.just("move"), _PATHS, _PATHS),
        st.tuples(st.just("copy"), _PATHS, _PATHS),
    ),
    max_size=12,
)


def _base_entries() -> list[Entry]:
    return [
        directory_entry("Files"),
        directory_entry("Files/a"),
        file_entry("Files/a/c.txt", b"base c"),
        directory_entry("Files/a/sub"),
        file_entry("Files/a/sub/b", b"base b"),
        directory_entry("Files/b"),
        directory_entry("Hives"),
    ]


def _do(session: Session, verb: str, path: tuple[str, ...], other: tuple[str, ...], number: int) -> None:
    item = session.find(path, follow=False)
    match verb:
        case "mkdir":
            session.make_directory(path)
        case "write":
            session.write(path, f"content {number}".encode())
        case "remove" if item is not None:
            session.remove(item)
        case "move" if item is not None and session.find(other, follow=False) is None:
            session.move(item, other)
        case "copy" if item is not None:
            if item.is_directory:
                if other[: len(path)] != path and session.tree.resolve(other)[: len(item.path)] != item.path:
                    session.copy_tree(item, other)
            else:
                session.copy_file(item, other)


def _listing(base) -> dict[str, bytes | None]:
    tree = base if isinstance(base, Tree) else Tree(base)
    found: dict[str, bytes | None] = {}
    for item in tree.below(()):
        data = None
        if item.is_file:
            assert item.content is not None
            with item.content.open() as stream:
                data = stream.read()
        found[path_text(item.path).upper()] = data
    return found


@settings(max_examples=120, deadline=None)
@given(_STEPS)
def test_an_image_with_the_layer_has_what_the_tree_has(
    steps: list[tuple[str, tuple[str, ...], tuple[str, ...]]],
) -> None:
    config = {"os": "windows", "architecture": "amd64"}
    base = image_of([layer_of(_base_entries())], config=config)
    view = make_view(base, [read_layer(base.layers[0], 0, "windows")])
    before = State(tree=Tree(ViewBase(view)), flavour="servercore")
    session = Session(before)
    for number, (verb, path, other) in enumerate(steps):
        try:
            _do(session, verb, path, other, number)
        except CommandFailed:
            continue
    after = session.state().tree
    for key, item in after.changes.items():
        assert item is None or item.kind is not Kind.UNKNOWN, key
    planned = plan_layer(layer_requests(before.tree, after, "RUN"), epoch=0, created_by="RUN")
    image = image_of([*base.layers, layer_of(planned.recipe.entries)], config=config)
    merged = make_view(image, [read_layer(layer, number, "windows") for number, layer in enumerate(image.layers)])
    assert not [problem for problem in merged.problems if problem.rule != "whiteout"]
    assert _listing(ViewBase(merged)) == _listing(after)
