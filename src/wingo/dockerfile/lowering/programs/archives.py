"""`curl`, `tar` and `certutil`: what is downloaded, unpacked and hashed."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.contents import hash_of
from wingo.dockerfile.lowering.edits import ExtractArchive, has_hole, hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed, UnpackedFile
from wingo.dockerfile.lowering.patterns import compile_pattern, is_pattern
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session
from wingo.dockerfile.lowering.tree import Item, Kind
from wingo.hive.upcase import upcase
from wingo.windows.paths import Components, path_text

_CURL_VALUES = frozenset("ACDEFHKPQTUXYbcdehmotuwxyz")
"""Letters of curl's options that take a value."""
_CURL_LONG_VALUES = frozenset(
    [
        "output",
        "header",
        "retry",
        "retry-delay",
        "retry-max-time",
        "connect-timeout",
        "max-time",
        "user-agent",
        "referer",
        "cacert",
        "proxy",
        "output-dir",
        "url",
        "max-redirs",
        "proto",
        "tlsv",
        "ciphers",
        "limit-rate",
        "keepalive-time",
    ]
)
_CURL_REFUSED = {
    "X": "--request", "d": "--data", "F": "--form", "T": "--upload-file", "u": "--user", "E": "--cert", "b": "--cookie", "K": "--config",
    "request": "--request", "data": "--data", "form": "--form", "upload-file": "--upload-file", "user": "--user", "cert": "--cert",
    "cookie": "--cookie", "config": "--config", "remote-header-name": "--remote-header-name", "J": "--remote-header-name",
    "data-binary": "--data-binary", "data-raw": "--data-raw", "json": "--json",
}  # fmt: skip


class _Curl:
    """What a command line of curl asks for."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.urls: list[str] = []
        self.outputs: list[str | None] = []
        self.remote_names = 0
        self.headers: list[tuple[str, str]] = []
        self.folder = ""
        self.create = False
        left = list(arguments)
        while left:
            word = left.pop(0)
            if word.startswith("--") and len(word) > 2:
                name, equals, value = word[2:].partition("=")
                if equals:
                    raise CommandFailed(f"curl: option {word}: is unknown", 2)
                self._option(name.lower(), value, left, long=True)
            elif word.startswith("-") and len(word) > 1:
                letters = word[1:]
                while letters:
                    letter, letters = letters[0], letters[1:]
                    attached = letters if letter in _CURL_VALUES else ""
                    if self._option(letter, attached, left, long=False) or attached:
                        letters = ""
            else:
                self.urls.append(word)

    def _option(self, name: str, attached: str, left: list[str], *, long: bool) -> bool:
        """Reads one option; whether it took a value."""
        if name in _CURL_REFUSED:
            raise CannotLower(
                f"curl {_CURL_REFUSED[name]} is not lowered", "Use ADD, or copy the file from the context."
            )
        takes = name in _CURL_LONG_VALUES if long else name in _CURL_VALUES
        if not takes:
            if name in ("O", "remote-name"):
                self.outputs.append(None)
            if name == "create-dirs":
                self.create = True
            return False
        if not attached and not left:
            raise CommandFailed(f"curl: option {name} wants a value", 2)
        value = attached or left.pop(0)
        if name in ("o", "output"):
            self.outputs.append(value)
        elif name in ("H", "header"):
            key, _, text = value.partition(":")
            self.headers.append((key.strip(), text.strip()))
        elif name in ("A", "user-agent"):
            self.headers.append(("User-Agent", value))
        elif name == "url":
            self.urls.append(value)
        elif name == "output-dir":
            self.folder = value
        return True


def curl(session: Session, call: Call) -> int:
    """`curl [-fsSL] -o FILE URL`."""
    asked = _Curl(call.arguments)
    if not asked.urls:
        raise CommandFailed("curl: no URL specified", 2)
    for index, written in enumerate(asked.urls):
        url = written if "://" in written or has_hole(written) else f"http://{written}"
        if index >= len(asked.outputs):
            if session.planning or len(asked.urls) == 1:
                call.output.unknown = f"curl {url}"
                session.note(f"{url} is printed and kept nowhere: it is not downloaded")
                continue
            raise CannotLower("curl prints what it downloads", "Add -o and a file's name.")
        name = asked.outputs[index]
        if name is None:
            name = re.sub(r"[?#].*", "", url).rstrip("/").rpartition("/")[2]
        folder = session.path(asked.folder) if asked.folder else session.directory
        path = session.path(name, folder)
        if asked.create:
            session.make_directory(path[:-1])
        session.download(url, path, tuple(asked.headers))
    return 0


class _Tar:
    """What a command line of bsdtar asks for."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.mode = ""
        self.file = ""
        self.directory = ""
        self.strip = 0
        self.members: list[str] = []
        self.exclude: list[str] = []
        self.keep = False
        left = list(arguments)
        first = True
        while left:
            word = left.pop(0)
            if word.startswith("--"):
                name, equals, value = word[2:].partition("=")
                self._long(name, value if equals else None, left)
            elif word.startswith("-") or (first and re.fullmatch(r"[xtcrufzjJvkmpo]+", word)):
                bundle = word.removeprefix("-")
                while bundle:
                    letter, bundle = bundle[0], bundle[1:]
                    if letter in "fCX":
                        # In the old form without a dash, values come one after the other behind the letters.
                        value = bundle if bundle and word.startswith("-") else left.pop(0) if left else ""
                        if word.startswith("-"):
                            bundle = ""
                        self._set(letter, value)
                    else:
                        self._set(letter, "")
            else:
                self.members.append(word)
            first = False

    def _set(self, letter: str, value: str) -> None:
        if letter in "xtcru":
            self.mode = letter
        elif letter == "f":
            self.file = value
        elif letter == "C":
            self.directory = value
        elif letter == "k":
            self.keep = True
        elif letter == "X":
            raise CannotLower("tar -X reads patterns from a file", "Write --exclude.")

    def _long(self, name: str, value: str | None, left: list[str]) -> None:
        letters = {"extract": "x", "get": "x", "list": "t", "create": "c", "file": "f", "directory": "C", "cd": "C"}
        if name in letters:
            takes = letters[name] in "fC"
            self._set(letters[name], (value if value is not None else left.pop(0) if left else "") if takes else "")
        elif name in ("strip-components", "exclude", "include"):
            text = value if value is not None else left.pop(0) if left else ""
            if name == "exclude":
                self.exclude.append(text)
            elif name == "include":
                self.members.append(text)
            elif text.isdigit():
                self.strip = int(text)
            else:
                raise CommandFailed(f"tar: --strip-components {text} is no number")


def tar(session: Session, call: Call) -> int:
    """`tar -xf FILE [-C DIRECTORY] [MEMBERS]`: bsdtar, which also reads zip."""
    if call.arguments in (("--version",), ("--help",)):
        call.output.unknown = "tar"
        return 0
    asked = _Tar(call.arguments)
    if asked.mode == "t":
        session.read_item(session.path(asked.file))
        call.output.unknown = "tar"
        return 0
    if asked.mode != "x":
        raise CannotLower("tar makes an archive", "Make it outside the image and COPY it.")
    if not asked.file or asked.file == "-":
        raise CannotLower("tar reads from what is piped into it", "Download the file first.")
    target = session.path(asked.directory) if asked.directory else session.directory
    if not session.is_directory(target):
        raise CommandFailed(f"tar: could not chdir to {asked.directory}")
    extract(
        session, session.path(asked.file), target, "any",
        members=tuple(asked.members), strip=asked.strip, exclude=tuple(asked.exclude), overwrite=not asked.keep,
    )  # fmt: skip
    return 0


def extract(
    session: Session,
    archive: Components,
    target: Components,
    format_: str,
    *,
    members: tuple[str, ...] = (),
    strip: int = 0,
    exclude: tuple[str, ...] = (),
    overwrite: bool = True,
) -> None:
    """Unpacks an archive of the image.

    Raises:
        CommandFailed: it is not there, is no archive, has no such member, or a file is there that may not be replaced.
        CannotLower: a member's name leads out of the directory.
    """
    item = session.read_item(archive)
    operation = ExtractArchive(item.text, path_text(target), format_, members, strip)
    answer = session.perform(operation)
    session.tree.make_directories(target)
    if answer is None:
        session.tree.vague.add(tuple(map(upcase, session.tree.resolve(target))))
        for member in members:
            if not is_pattern(member):
                parts = tuple(part for part in re.split(r"[\\/]+", member) if part not in ("", "."))[strip:]
                if parts:
                    session.tree.make_directories((*target, *parts[:-1]))
                    session.tree.put(Item((*session.tree.resolve(target), *parts), Kind.UNKNOWN))
        return
    if answer.status:
        raise CommandFailed(f"{item.text} cannot be unpacked: {answer.output}", answer.status)
    wanted = [file for file in answer.files if _is_wanted(file, members) and not _matches(file.path, exclude)]
    for member in members:
        if not any(_matches(file.path, (member,)) for file in answer.files):
            raise CommandFailed(f"{member} is not in {item.text}")
    for file in wanted:
        session.tick()
        _place(session, file, target, strip, overwrite=overwrite)


def _is_wanted(file: UnpackedFile, members: tuple[str, ...]) -> bool:
    return not members or _matches(file.path, members)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    plain = name.replace("\\", "/").removeprefix("./").rstrip("/")
    for pattern in patterns:
        wanted = pattern.replace("\\", "/").removeprefix("./").rstrip("/")
        if plain == wanted or plain.startswith(wanted + "/"):
            return True
        if is_pattern(wanted):
            matcher = compile_pattern(wanted)
            parts = plain.split("/")
            if any(matcher.match("/".join(parts[: length + 1])) for length in range(len(parts))):
                return True
    return False


def _place(session: Session, file: UnpackedFile, target: Components, strip: int, *, overwrite: bool) -> None:
    parts = [part for part in re.split(r"[\\/]+", file.path) if part not in ("", ".")]
    if ".." in parts or re.match(r"[A-Za-z]:", file.path):
        raise CannotLower(f"a member of the archive is called {file.path!r}, which leads out of the directory")
    inside = tuple(parts[strip:])
    if not inside:
        return
    # Names that Windows cannot have are refused, as nobody knows what a program makes of them.
    path = session.path("\\".join(inside), target)
    if file.kind == "directory":
        session.tree.make_directories(path)
        return
    session.tree.make_directories(path[:-1])
    there = session.find(path, follow=False)
    if there is not None and not there.is_directory and not overwrite:
        raise CommandFailed(f"{there.text} already exists")
    if file.kind == "link":
        if there is not None:
            session.tree.remove(there.path)
        session.tree.put(Item(session.spelt(path), Kind.LINK, target=file.target.replace("/", "\\"), link="symbolic"))
    else:
        session.write(path, file.content, quiet=True)


_ALGORITHMS = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")


def certutil(session: Session, call: Call) -> int:
    """`certutil -hashfile FILE [ALGORITHM]`, `certutil -addstore STORE FILE`."""
    words = [word for word in call.arguments if word.lower() not in ("-f", "/f", "-v", "/v")]
    verb = words[0].lstrip("-/").lower() if words else ""
    if verb == "hashfile" and len(words) in (2, 3):
        algorithm = words[2].upper() if len(words) == 3 else "SHA1"
        if algorithm not in _ALGORITHMS:
            raise CannotLower(f"certutil -hashfile {algorithm} is not lowered", f"Use one of {', '.join(_ALGORITHMS)}.")
        item = session.read_item(session.path(words[1]))
        text = file_hash(session, item, algorithm).lower()
        call.output.line(f"{algorithm} hash of {words[1]}:")
        call.output.line(text)
        call.output.line("CertUtil: -hashfile command completed successfully.")
        return 0
    if verb == "addstore" and len(words) == 3:
        from wingo.dockerfile.lowering.certificates import import_certificate

        import_certificate(session, session.path(words[2]), words[1])
        return 0
    raise CannotLower(
        f"certutil {' '.join(words)[:80]} is not lowered",
        "COPY the certificates and use certutil -addstore; certutil -hashfile is lowered too.",
    )


def file_hash(session: Session, item: Item, algorithm: str) -> str:
    """A file's digest in upper-case hexadecimal, as Get-FileHash prints it; a hole in a plan."""
    if item.content is None:
        if not session.planning:
            raise CannotLower(f"what is in {item.text} is not known")
        session.late = True
        text = hole(f"{algorithm} of {item.path[-1]}")
        session.hashes[upcase(text)] = (algorithm, session.last_download_to(item.path))
        return text
    return hash_of(item.content, algorithm.lower()).upper()


def arc(session: Session, call: Call) -> int:
    """`arc unarchive FILE [DIRECTORY]` (github.com/mholt/archiver): zip and tar archives alone."""
    words = [word for word in call.arguments if not word.startswith("-")]
    if len(words) not in (2, 3) or words[0] not in ("unarchive", "extract"):
        raise CannotLower(f"arc {' '.join(call.arguments)[:60]} is not lowered", "Use tar -xf.")
    archive = session.path(words[1])
    if not re.search(r"\.(zip|tar|tgz|tar\.\w+|tbz2|txz)\Z", words[1], re.IGNORECASE):
        raise CannotLower(f"arc reads {words[1]}, which is neither zip nor tar", "Use an archive that tar reads.")
    target = session.path(words[2]) if len(words) > 2 else session.directory
    session.tree.make_directories(target)
    extract(session, archive, target, "any", overwrite=False)
    return 0


def innoextract(session: Session, call: Call) -> int:
    """`innoextract [-d DIRECTORY] FILE`: this machine's does it."""
    words: list[str] = []
    target = ""
    left = list(call.arguments)
    while left:
        word = left.pop(0)
        if word in ("-d", "--output-dir") and left:
            target = left.pop(0)
        elif word in ("-e", "--extract", "-s", "--silent", "-q", "--quiet", "-m", "--exclude-temp"):
            continue
        elif word.startswith("-"):
            raise CannotLower(f"innoextract {word} is not lowered", "innoextract [-d DIRECTORY] FILE is.")
        else:
            words.append(word)
    if len(words) != 1:
        raise CommandFailed("innoextract: it wants one file")
    place = session.path(target) if target else session.directory
    session.tree.make_directories(place)
    session.note("innoextract of the machine that builds runs in place of the image's")
    extract(session, session.path(words[0]), place, "inno")
    return 0


def seven_zip(session: Session, call: Call) -> int:
    """`7z x FILE [-oDIRECTORY] [-y]`."""
    words = [word for word in call.arguments if not word.startswith("-")]
    switches = [word for word in call.arguments if word.startswith("-")]
    target = next((word[2:] for word in switches if word.startswith("-o")), "")
    unknown = [word for word in switches if not re.match(r"-(?:o.*|y|aoa|bd|bb\d?|bs\w+)\Z", word)]
    if len(words) < 2 or words[0].lower() != "x" or unknown:
        shown = " ".join(call.arguments)[:60]
        raise CannotLower(f"7z {shown} is not lowered", "7z x FILE -oDIRECTORY -y is, and tar -xf.")
    archive = session.path(words[1])
    place = session.path(target) if target else session.directory
    session.tree.make_directories(place)
    zip_or_tar = re.search(r"\.(zip|tar)\Z", words[1], re.IGNORECASE)
    if zip_or_tar is None:
        if re.search(r"\.(gz|tgz|bz2|xz|zst|txz)\Z", words[1], re.IGNORECASE):
            raise CannotLower(f"7z takes only the compression off {words[1]}", "Use tar -xf, which unpacks it whole.")
        session.note("7z of the machine that builds runs in place of the image's")
    extract(session, archive, place, "any" if zip_or_tar else "7z", members=tuple(words[2:]))
    return 0


def certoc(session: Session, call: Call) -> int:
    """`certoc -addstore STORE FILE`: nanoserver's certutil."""
    words = call.arguments
    if len(words) != 3 or words[0].lower() not in ("-addstore", "/addstore"):
        raise CannotLower(f"certoc {' '.join(words)[:80]} is not lowered", "certoc -addstore STORE FILE is.")
    from wingo.dockerfile.lowering.certificates import import_certificate

    import_certificate(session, session.path(words[2]), words[1])
    return 0


PROGRAMS: dict[str, Program] = {
    "certoc": certoc,
    "7z": seven_zip,
    "7za": seven_zip,
    "innoextract": innoextract,
    "arc": arc,
    "curl": curl,
    "tar": tar,
    "certutil": certutil,
}
