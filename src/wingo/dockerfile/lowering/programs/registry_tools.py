"""`reg` and `regedit`."""

from __future__ import annotations

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session
from wingo.errors import ContentError, RequestError
from wingo.hive.edit import CreateKey, Edit, SetValue
from wingo.hive.upcase import upcase
from wingo.windows.registry_commands import reg_add, reg_copy, reg_delete, reg_import
from wingo.windows.registry_policy import ignored_reason, protected_reason

_REFUSED = {
    "load": "reg load shows the hive of a file, which is not lowered",
    "unload": "reg unload ends what reg load began",
    "save": "reg save writes a hive's bytes",
    "restore": "reg restore replaces a hive's keys by those of a file",
    "flags": "reg flags fails in containers",
    "compare": "reg compare is not lowered",
    "export": "reg export writes what the base's registry has",
}
_MAX_FILE = 16 << 20


def reg(session: Session, call: Call) -> int:
    """`reg add | delete | copy | import | query`."""
    if not call.arguments:
        raise CommandFailed("reg: invalid syntax")
    verb = call.arguments[0].lower()
    if verb in _REFUSED:
        raise CannotLower(_REFUSED[verb], "Use reg add, delete, copy or import.")
    if verb == "import":
        if len(call.arguments) < 2:
            raise CommandFailed("reg import: it wants a file")
        import_file(session, call.arguments[1])
        return 0
    words, options = _options(call.arguments[1:])
    if verb == "query":
        return _query(session, call, words, options)
    wanted = {"add": 1, "delete": 1, "copy": 2}.get(verb)
    if wanted is None or len(words) != wanted:
        raise CommandFailed(f"reg {verb}: invalid syntax")
    keys = [_key(word, options) for word in words]
    force = "f" in options
    name = "" if "ve" in options else options.get("v")
    try:
        if verb == "add":
            data = options.get("d", "")
            edits = reg_add(
                session.registry, keys[0], name=name, type=options.get("t", "REG_SZ"), data=data,
                separator=options.get("s", "\\0"), force=force,
            )  # fmt: skip
            if has_hole(data):
                session.late = True
        elif not force and verb == "delete":
            raise CannotLower("reg delete asks whether you are sure", "Add /f.")
        elif verb == "delete":
            if session.registry.is_assumed(keys[0]):
                session.late = True
                edits = _assumed_deletion(session, keys[0], name, all_values="va" in options)
            else:
                edits = reg_delete(session.registry, keys[0], name=name, all_values="va" in options)
        else:
            edits = reg_copy(session.registry, keys[0], keys[1], recursive="s" in options)
    except RequestError as error:
        raise CommandFailed(f"reg {verb}: {error}") from error
    apply(session, edits)
    return 0


def _assumed_deletion(session: Session, key: str, name: str | None, *, all_values: bool) -> tuple[Edit, ...]:
    from wingo.hive.edit import DeleteKey, DeleteValue

    path = session.registry.full_path(key)
    if all_values:
        raise CannotLower("reg delete /va needs the base's registry", "Name the values.")
    return (DeleteKey(path),) if name is None else (DeleteValue(path, name),)


def apply(session: Session, edits: tuple[Edit, ...]) -> None:
    """Makes edits, and notes those that a container does not notice or that break Windows.

    Raises:
        CommandFailed: one of them cannot be.
    """
    # A key that a value makes anyhow needs no edit of its own.
    valued = {upcase(edit.path) for edit in edits if isinstance(edit, SetValue)}
    needed = [
        edit
        for edit in edits
        if not isinstance(edit, CreateKey)
        or (upcase(edit.path) not in valued and session.registry.find(edit.path) is None)
    ]
    for edit in needed:
        try:
            name = edit.name if isinstance(edit, SetValue) else ""
            ignored = ignored_reason(session.registry, edit.path, name)
            protected = protected_reason(session.registry, edit.path)
        except RequestError:
            continue
        if protected:
            session.note(f"{edit.path}: {protected}")
        elif ignored:
            session.note(f"{edit.path}: {ignored}")
    session.change_registry(*needed)


def import_file(session: Session, text: str) -> None:
    """`reg import FILE`.

    Raises:
        CommandFailed: there is no such file, or it is no .reg file.
        CannotLower: a key in it is in no hive of an image.
    """
    path = session.path(text)
    data = session.read(path, _MAX_FILE)
    if data is None:
        session.note(f"what {text} changes in the registry is seen only while building")
        return
    try:
        edits = reg_import(session.registry, data)
    except ContentError as error:
        raise CommandFailed(f"reg import {text}: {error}") from error
    except RequestError as error:
        raise CannotLower(f"reg import {text}: {error}", error.hint) from error
    session.tick(len(edits))
    apply(session, edits)


def _options(arguments: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    words: list[str] = []
    options: dict[str, str] = {}
    left = list(arguments)
    while left:
        word = left.pop(0)
        name = word[1:].lower()
        if not word.startswith(("/", "-")) or not name:
            words.append(word)
        elif name in ("v", "t", "d", "c", "k") or (
            name == "s" and left and len(left[0]) <= 2 and not left[0].startswith("/")
        ):
            if not left:
                raise CommandFailed(f"reg: {word} wants a value")
            options[name] = left.pop(0)
        elif name in ("ve", "va", "f", "s", "y") or name.startswith("reg:"):
            options[name] = ""
        else:
            raise CommandFailed(f"reg: invalid syntax: {word}")
    return words, options


def _key(text: str, options: dict[str, str]) -> str:
    if text.startswith("\\\\"):
        raise CannotLower(f"{text!r} is a key of another machine")
    if "reg:32" in options:
        upper = upcase(text)
        for root in ("HKLM\\SOFTWARE", "HKEY_LOCAL_MACHINE\\SOFTWARE"):
            if (upper == root or upper.startswith(root + "\\")) and not upper.startswith(root + "\\WOW6432NODE"):
                return text[: len(root)] + "\\WOW6432Node" + text[len(root) :]
    return text


def _query(session: Session, call: Call, words: list[str], options: dict[str, str]) -> int:
    call.output.unknown = "reg query"
    if len(words) != 1 or "f" in options:
        return 0
    try:
        key = session.registry.find(_key(words[0], options))
        assumed = session.registry.is_assumed(words[0])
        name = "" if "ve" in options else options.get("v")
        missing = key is None or (name is not None and session.registry.value(words[0], name) is None)
    except RequestError as error:
        raise CannotLower(str(error), error.hint) from error
    if missing and assumed:
        session.late = True
        return 0
    if missing:
        session.last_error = f"the registry has no {words[0]}"
    return int(missing)


def regedit(session: Session, call: Call) -> int:
    """`regedit /s FILE`."""
    files = [word for word in call.arguments if not word.startswith(("/", "-"))]
    if len(files) != 1 or not any(word.lower() in ("/s", "-s") for word in call.arguments):
        raise CannotLower("regedit without /s and a file opens a window", "Use reg import.")
    import_file(session, files[0])
    return 0


PROGRAMS: dict[str, Program] = {"reg": reg, "regedit": regedit}
