"""bubblewrap: where no OCI runtime is installed. It cannot become another user where there are several; then `Own` does it.

Source: bwrap(1).
"""

from __future__ import annotations

from wingo.launch.capabilities import DEFAULT
from wingo.launch.runtime import Place, Program, Runtime
from wingo.launch.seccomp import filter_program
from wingo.launch.spec import RunSpec
from wingo.launch.users import Account


class Bubblewrap:
    """bwrap."""

    name = "bubblewrap"
    sees_cgroups = False

    def __init__(self, path: str, architecture: str, otherwise: Runtime, *, single: bool) -> None:
        """Takes a bubblewrap; the arguments are those of `OciRuntime`."""
        self._path = path
        self._architecture = architecture
        self._otherwise = otherwise
        self._single = single

    def plan(self, spec: RunSpec, account: Account, place: Place) -> Program:
        """The command line, whose arguments go through a descriptor: variables may be secret."""
        if account.uid and not self._single:
            return self._otherwise.plan(spec, account, place)
        arguments = ["--bind", place.root, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/sys"]
        arguments += ["--remount-ro", "/sys", "--unshare-pid", "--as-pid-1", "--die-with-parent", "--chdir", spec.cwd]
        if account.uid:
            arguments += ["--unshare-user", "--uid", str(account.uid), "--gid", str(account.gid)]
        arguments += ["--cap-drop", "ALL"]
        for name in DEFAULT if not account.uid else ():
            arguments += ["--cap-add", f"CAP_{name}"]
        arguments.append("--clearenv")
        for item in spec.env:
            name, _, value = item.partition("=")
            arguments += ["--setenv", name, value]
        data = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in arguments)
        argv = (self._path, "--args", "{fd:arguments}", "--seccomp", "{fd:seccomp}", "--", *spec.argv)
        inputs = {"arguments": data, "seccomp": filter_program(self._architecture)}
        return Program(argv, {}, cwd=place.scratch, inputs=inputs)
