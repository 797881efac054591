"""Hooks: what a script can do, what it cannot, and what becomes of one that tries."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import pytest

from wingo.errors import HostError
from wingo.launch.hooks import run as hooks
from wingo.launch.hooks.run import HookFailed, HookLimits, run_hook
from wingo.launch.seccomp import computing_program

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
SMALL = HookLimits(0.3, 16 << 20)


def ask(script: str, event: dict[str, object] | None = None, limits: HookLimits = SMALL) -> dict[str, object]:
    return run_hook(dedent(script), event or {}, name="admit.js", architecture=ARCHITECTURE, limits=limits)


def failure(script: str) -> HookFailed:
    with pytest.raises(HookFailed) as caught:
        ask(script)
    return caught.value


def test_a_hook_decides_and_transforms_by_its_event() -> None:
    script = """
        const trusted = /^registry\\.example\\//;
        function admit(event) {
            return trusted.test(event.image.name) ? true : `${event.image.name} is not ours`;
        }
        const transform = ({ image }) => ({ labels: { name: image.name.toUpperCase(), day: new Date(0).toISOString() } });
    """
    assert ask(script, {"image": {"name": "registry.example/app"}}) == {
        "admit": True,
        "transform": {"labels": {"name": "REGISTRY.EXAMPLE/APP", "day": "1970-01-01T00:00:00.000Z"}},
    }
    assert ask(script, {"image": {"name": "elsewhere/app"}})["admit"] == "elsewhere/app is not ours"


def test_what_is_not_declared_is_not_asked() -> None:
    assert ask("function transform() { return {} }") == {"transform": {}}
    assert failure("let other = 1").kind == "answer"
    assert "function admit(event)" in failure("").hint


REFUSED = [
    # the world
    "process", "require('fs')", "fetch('http://a')", "XMLHttpRequest", "Deno", "Bun", "std", "os", "scriptArgs", "console",
    "WebAssembly", "setTimeout(() => 1)", "Worker", "SharedArrayBuffer", "Atomics", "performance", "queueMicrotask",
    "globalThis.process", "globalThis['req' + 'uire']", "this_.process", "'process' in globalThis", "typeof process",
    "Reflect.get(globalThis, 'process')", "Object.getPrototypeOf(globalThis).process", "undeclared = 1",
    # from text to code
    "eval('1')", "(0, eval)('1')", "new Function('return 1')()", "Function('return 1')()",
    "(function () {}).constructor('return this')()", "(() => 1).constructor('return this')()",
    "(async () => 1).constructor('return 1')()", "(function* () {}).constructor('yield 1')()",
    "(async function* () {}).constructor('yield 1')()", "[].map.constructor('return this')()",
    "event.constructor.constructor('return process')()", "''.constructor.constructor('return 1')()",
    "[].__proto__.__proto__.constructor.constructor('return 1')()", "JSON.parse.constructor('return 1')()",
    "Reflect.construct((function () {}).constructor, ['return 1'])", "new Proxy(Function, {}).apply(null, ['return 1'])",
    "Reflect.getPrototypeOf(async () => 1).constructor('return 1')", "class_.constructor('return 1')()",
    "(() => { try { null.x } catch (e) { return e.constructor.constructor('return 1')() } })()",
    # what would differ from one time to the next
    "Date.now()", "new Date()", "Date()", "new (new Date(0).constructor)()", "Math.random()", "new Date(0).constructor.now()",
]  # fmt: skip
"""Expressions of which each must end in a refusal."""


def test_the_known_ways_out_are_refused() -> None:
    cases = ",\n".join(f"() => ({expression})" for expression in REFUSED)
    script = f"""
        const this_ = this;
        class class_ {{}}
        function admit(event) {{
            return [{cases}].map((attempt) => {{
                try {{
                    return "it gave " + String(attempt());
                }} catch (error) {{
                    return error.name;
                }}
            }});
        }}
    """
    answers = ask(script)["admit"]
    assert isinstance(answers, list)
    assert {e: a for e, a in zip(REFUSED, answers, strict=True) if a != "HookRefused"} == {}


UNCHANGED = [
    "Object.prototype.polluted = 1", "({}).__proto__.polluted = 1", "Array.prototype.map = 1", "globalThis.JSON = 1", "JSON.parse = 1",
    "Object.setPrototypeOf(globalThis, null)", "Reflect.setPrototypeOf(globalThis, null)", "globalThis.__proto__ = null",
    "Object.prototype.__lookupSetter__('__proto__').call(globalThis, null)", "({ __proto__: 1 }, globalThis).__proto__ = null",
    "Object.setPrototypeOf(Array.prototype, null)", "delete globalThis.eval",
    "Object.defineProperty(globalThis, 'eval', { value: 1 })", "Object.defineProperty(Object.prototype, 'then', { value: 1 })",
    "(function () {}).__proto__.constructor = 1", "Object.getPrototypeOf(globalThis).get = 1",
    "Object.assign(Object.prototype, { polluted: 1 })", "Reflect.defineProperty(Math, 'max', { value: 1 }) || fail()",
    "Object.freeze = 1",
]  # fmt: skip
"""Attempts to change the language, of which each must throw in strict code."""


def test_the_language_cannot_be_changed() -> None:
    cases = ",\n".join(f"() => ({expression})" for expression in UNCHANGED)
    script = f"""
        "use strict";
        const fail = () => {{ throw new TypeError("it said no") }};
        function admit() {{
            return [{cases}].map((attempt) => {{ try {{ attempt(); return "changed" }} catch (error) {{ return "no" }} }});
        }}
        function transform() {{ return {{ polluted: ({{}}).polluted ?? null, max: Math.max(1, 2) }} }}
    """
    answers = ask(script)
    assert answers == {"admit": ["no"] * len(UNCHANGED), "transform": {"polluted": None, "max": 2}}


@pytest.mark.parametrize("answer", ["Promise.resolve(true)", "(async () => true)()", "import('fs')", "{ then() {} }"])
def test_a_promise_is_no_answer(answer: str) -> None:
    failed = failure(f"function admit() {{ return {answer} }}")
    assert (failed.kind, "at once" in str(failed)) == ("refused", True)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("time", "while (true);"),
        ("time", "/(a+)+b/.test('a'.repeat(64))"),
        ("time", "return { get x() { while (true); } }"),
        ("memory", "const kept = []; while (true) kept.push('x'.repeat(1e5) + kept.length)"),
        ("memory", "new Array(1e9).fill(0)"),
        ("memory", "'x'.padEnd(2 ** 29)"),
        ("stack", "(function again() { again() })()"),
        ("answer", "return 'x'.repeat(2e6)"),
        ("script", "return 1n"),
        ("refused", "return () => 1"),
    ],
)
def test_bombs_end(kind: str, body: str) -> None:
    assert failure(f"function admit() {{ {body} }}").kind == kind


def test_native_code_that_never_looks_at_the_clock_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_STARTING_SECONDS", 1.5)
    assert failure("function admit() { [].sort.call({ length: 2 ** 53 - 1 }) }").kind == "time"


def test_errors_name_the_line_of_the_script() -> None:
    failed = failure("// one\nfunction admit() {\n  throw new TypeError('no')\n}")
    assert "line 3: TypeError: no" in str(failed)
    assert "line 2: a hook has no process" in str(failure("function admit() {\n  return process.env }"))
    assert "SyntaxError" in str(failure("function admit( {"))


def test_without_an_engine_the_hint_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "find_spec", lambda _: None)
    with pytest.raises(HostError) as caught:
        ask("function admit() {}")
    assert "wingo[hooks]" in caught.value.hint


_TRY = """
import errno, os, socket, sys
sys.path.insert(0, sys.argv[1])
import worker
worker._refuse_calls(bytes.fromhex(sys.argv[2]))
def no(call):
    try:
        call()
    except OSError as error:
        return error.errno == errno.EPERM
    return False
done = [no(lambda: os.open("/etc/passwd", 0)), no(socket.socket), no(os.fork), no(lambda: os.kill(1, 0)),
        no(lambda: os.execv("/bin/true", ["true"])), no(lambda: os.read(0, 1)), no(lambda: os.mkdir("/tmp/x"))]
os.write(1, str(done).encode())
os._exit(0)
"""


def test_the_process_has_given_up_its_system_calls() -> None:
    filter = computing_program(ARCHITECTURE).hex()
    folder = os.path.dirname(hooks.__file__)
    done = subprocess.run([sys.executable, "-I", "-c", _TRY, folder, filter], capture_output=True, check=True)
    assert done.stdout.decode() == str([True] * 7)
