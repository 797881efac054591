"""Writing a user namespace's numbers, and doing something inside one."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Mapping

from wingo.errors import HostError
from wingo.launch import kernel
from wingo.launch.channel import Channel, error_message, raise_error
from wingo.launch.identity import Identity, IdRange


def fork() -> int:
    """os.fork, whose warning about threads is heeded: what runs in the child takes no lock of the parent's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        gc.freeze()  # a search for garbage would write to all that the two still share, and so copy it
    return process


def write_maps(process: int, identity: Identity, tools: Mapping[str, str]) -> None:
    """Gives a process's new user namespace its numbers.

    Args:
        process: has just made the namespace.
        identity: whose numbers they are.
        tools: newuidmap and newgidmap, where the identity needs them.

    Raises:
        HostError: the kernel or the helpers refuse.
    """
    if identity.way == "subordinate":
        import subprocess

        for tool, ranges in (("newuidmap", identity.uids), ("newgidmap", identity.gids)):
            words = [word for each in ranges for word in str(each).split()]
            done = subprocess.run([tools[tool], str(process), *words], capture_output=True, check=False)
            if done.returncode:
                raise HostError(
                    f"{tool} failed: {done.stderr.decode(errors='replace').strip()[:300]}",
                    hint="Compare /etc/subuid and /etc/subgid with subuid(5).",
                )
        return
    try:
        if identity.way == "single":
            _write(f"/proc/{process}/setgroups", "deny")
        _write(f"/proc/{process}/uid_map", _lines(identity.uids))
        _write(f"/proc/{process}/gid_map", _lines(identity.gids))
    except OSError as error:
        raise HostError(f"the kernel refuses the users of a new namespace: {error.strerror}") from error


def _lines(ranges: tuple[IdRange, ...]) -> str:
    return "".join(f"{each}\n" for each in ranges)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def in_user_namespace(identity: Identity, tools: Mapping[str, str], action: Callable[[], None]) -> None:
    """Does something as root of a user namespace with these numbers, in a process of its own.

    Raises:
        WingoError: it failed.
    """
    ours, theirs = Channel.pair()
    process = fork()
    if process == 0:
        code = 1
        try:
            ours.close()
            kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)
            kernel.unshare(kernel.CLONE_NEWUSER)
            theirs.send({"unshared": True})
            theirs.expect("mapped")
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            action()
            theirs.send({"done": True})
            code = 0
        except BaseException as error:  # noqa: BLE001  (a fork must not return into its parent's code)
            theirs.send(error_message(error))
        finally:
            os._exit(code)
    theirs.close()
    try:
        ours.expect("unshared")
        write_maps(process, identity, tools)
        ours.send({"mapped": True})
        received = ours.receive()
        if received is None:
            raise HostError("a process in a user namespace ended too early")
        raise_error(received[0])
    finally:
        ours.close()
        os.waitpid(process, 0)
