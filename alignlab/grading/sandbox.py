"""A process for code that is not trusted, and what it can reach. Linux only.

``start`` forks; the child gives up what it can before it runs anything, as the package's docstring
says of each level.
"""

import contextlib
import math
import os
import resource
import signal
import socket
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import alignlab
from alignlab.grading import namespaces

LEVELS = {
    "namespaces": "",
    "user": "no namespaces here: submissions have the network and read what everyone may read",
    "process": "no namespaces here: submissions have the network and can do to files what you can",
}
_NOBODY = 65534
_DIE_WITH_PARENT, _ADOPT_ORPHANS, _NO_NEW_PRIVILEGES = 1, 36, 38
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes:
        seconds: of processor time for one cell or one check.
        memory: bytes, beyond the loaded libraries: of each process, and of all together.
        processes: how many may live at a time.
    """

    seconds: float = 20.0
    memory: int = 2 << 30
    processes: int = 64

    @property
    def idle(self) -> float:
        """Seconds that one cell or one check may sleep or wait."""
        return 5 * self.seconds

    @property
    def whole(self) -> float:
        """Seconds, busy or not, for a whole notebook."""
        return 15 * self.seconds


@dataclass(frozen=True)
class Usage:
    """What a process and its descendants do.

    Attributes:
        seconds: of processor time so far.
        busy: whether one of them runs, would run if a core were free, or waits for the disk.
        pids: of those that live.
    """

    seconds: float
    busy: bool
    pids: list[int]


def adopt_orphans() -> None:
    """Become the parent of any descendant that loses its own, so that none can get away."""
    namespaces.prctl(_ADOPT_ORPHANS, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    namespaces.prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def limit_memory(memory: int) -> None:
    """Let this process, and each that it forks, grow by so many bytes of address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * _PAGE + memory,) * 2)


def limit_seconds(seconds: float) -> None:
    """Have the kernel end this process after so many seconds of processor time."""
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds),) * 2)


def best_level() -> str:
    """Return the strongest level of ``LEVELS`` that works here, by trying it on an empty child."""
    for level in LEVELS:
        if level == "user" and os.geteuid():
            continue
        with tempfile.TemporaryDirectory() as scratch:
            channel = start(_probe, level, Limits.memory, scratch)[1]
            with channel:
                works = channel.recv(2) == b"ok"
            stop_children()
        if works:
            return level
    raise OSError("no process can be confined here; grading needs Linux")


def _probe(channel: socket.socket) -> None:
    import torch

    for module in (os, torch, alignlab):  # the modules still to be loaded lie beside these
        Path(module.__file__).read_bytes()
    channel.sendall(b"ok")


def start(
    target: Callable[[socket.socket], None], level: str, memory: int, scratch: str,
    hidden: Iterable[str] = (),
) -> tuple[int, socket.socket]:  # fmt: skip
    """Run a function in a confined child.

    Args:
        target: called there with its end of a socket pair, the only open descriptor it has.
        level: of ``LEVELS``.
        memory: bytes, as ``limit_memory``.
        scratch: an empty folder of this process, where the child works when it can have none of
            its own.
        hidden: real absolute paths of files that must not be seen though a folder above them is.

    Returns:
        The process id and this end of the socket pair.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    try:
        os.setsid()
        die_with_parent()
        _close_all_but(theirs.fileno())
        limit_memory(memory)
        _confine(level, scratch, hidden)
        target(theirs)
    finally:
        os._exit(0)  # nothing of the parent's is to run here, whatever was raised


def _close_all_but(keep: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, keep)
    os.closerange(keep + 1, _last_descriptor())


def _last_descriptor() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _confine(level: str, scratch: str, hidden: Iterable[str]) -> None:
    if level == "namespaces":
        paths = namespaces.visible()
        namespaces.unshare()
        child = os.fork()  # the first process of its namespace: all others there end with it
        if child:
            os.closerange(3, _last_descriptor())
            os.waitpid(child, 0)
            os._exit(0)
        die_with_parent()
        namespaces.new_root(paths, hidden)
        namespaces.drop_capabilities()
        scratch = namespaces.SCRATCH
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (namespaces.SCRATCH_BYTES,) * 2)
    if level == "user":
        os.chown(scratch, _NOBODY, _NOBODY)
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        die_with_parent()  # which the change of user has undone
    namespaces.prctl(_NO_NEW_PRIVILEGES, 1)
    os.chdir(scratch)
    tempfile.tempdir = scratch
    os.environ |= {"HOME": scratch, "TMPDIR": scratch, "IPYTHONDIR": scratch}
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def usage(pid: int) -> Usage:
    """Return what a process and its descendants do now."""
    seconds, busy, pids, todo = 0.0, False, [], [pid]
    while todo:
        folder = Path("/proc", str(todo.pop()))
        with contextlib.suppress(OSError):  # ended meanwhile
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            # utime, stime, and those of children that have ended
            seconds += sum(map(int, fields[11:15])) / _TICKS
            busy |= fields[0] in "RD"
            pids.append(int(folder.name))
            for children in folder.glob("task/*/children"):
                todo += map(int, children.read_text().split())
    return Usage(seconds, busy, pids)


def resident() -> int:
    """Return the bytes that this process holds, shared ones too."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def memory(pids: Iterable[int]) -> int:
    """Return the bytes that processes hold together; what forked ones share counts once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) << 10
    return total


def stop_children() -> None:
    """Kill and reap every descendant; needs ``adopt_orphans`` to find those that hide."""
    while True:
        for children in Path("/proc/self/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for pid in children.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
