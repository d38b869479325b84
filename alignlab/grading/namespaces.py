"""A process's own view of the system: users, processes, network and a file tree made for it.

System calls go through ``ctypes``, since Python 3.11 has none of them; their numbers and flags
are those of the Linux headers ``sched.h``, ``mount.h`` and ``prctl.h``.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import alignlab

SCRATCH = "/tmp"
SCRATCH_BYTES = 256 << 20
_SYSTEM = (
    "/bin", "/etc/alternatives", "/etc/fonts", "/etc/group", "/etc/ld.so.cache", "/etc/localtime",
    "/etc/passwd", "/lib", "/lib32", "/lib64", "/sbin", "/usr",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_OLD = "/old-root"
_NEW_USER = 0x10000000
_NEW_MOUNT, _NEW_NAME, _NEW_IPC, _NEW_PROCESS, _NEW_NETWORK = (
    0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000,
)  # fmt: skip
_NOSUID, _NODEV, _BIND, _RECURSIVE, _PRIVATE, _DETACH = 2, 4, 4096, 16384, 1 << 18, 2
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_READ_ONLY_NOSUID = 442, -100, 0x8000, 1 | 2
_BOUNDING_DROP, _CAPABILITY_VERSION = 24, 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise OSError for a failed call of the C library."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def prctl(option: int, value: int) -> None:
    """Call prctl(2) with one value.

    Raises:
        OSError: the kernel refused.
    """
    check(_libc.prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3), "prctl")


def unshare() -> None:
    """Leave every namespace; the next child is the first process of the new ones.

    Raises:
        OSError: the system does not allow it.
    """
    user, group = os.geteuid(), os.getegid()
    rest = _NEW_MOUNT | _NEW_NAME | _NEW_IPC | _NEW_PROCESS | _NEW_NETWORK
    check(_libc.unshare(_NEW_USER | rest), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def visible() -> dict[str, str]:
    """Return the paths that Python and its packages need, each with the real path behind it.

    A folder of ``sys.path`` that holds sources, not installed packages, is left out: solutions may
    lie beside them. This package is there in any case.
    """
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    packages = {path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")}
    wanted = {*_SYSTEM, *prefixes, *packages, str(Path(alignlab.__file__).parent)}
    return {path: os.path.realpath(path) for path in sorted(wanted) if os.path.exists(path)}


def new_root(paths: dict[str, str], hidden: Iterable[str]) -> None:
    """Make a file tree of the given folders, read-only, and a scratch folder in memory.

    Args:
        paths: from ``visible``.
        hidden: real absolute paths of files within them, which are covered.

    Raises:
        OSError: the kernel refused a mount.
    """
    _mount("none", "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", SCRATCH, "tmpfs", _NOSUID | _NODEV)
    os.mkdir(SCRATCH + _OLD)
    check(_libc.pivot_root(SCRATCH.encode(), (SCRATCH + _OLD).encode()), "pivot_root")
    os.chdir("/")
    folders = set(paths.values())
    scratch = {SCRATCH: SCRATCH_BYTES, "/dev/shm": SCRATCH_BYTES}
    for path in sorted({*folders, *scratch, *_DEVICES}):  # a folder before what lies in it
        if path in scratch:
            os.makedirs(path, exist_ok=True)
            _mount("tmpfs", path, "tmpfs", _NOSUID | _NODEV, f"size={scratch[path]},mode=1777")
        elif not any(Path(path).is_relative_to(f) for f in folders - {path}):
            _show(path)
    for path, real in paths.items():
        if path != real and not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(real, path)
    for path in filter(os.path.exists, hidden):
        _mount("/dev/null", path, None, _BIND)
    os.makedirs("/proc", exist_ok=True)
    with contextlib.suppress(PermissionError):  # refused where a container masks parts of it
        _mount("proc", "/proc", "proc", _NOSUID | _NODEV)
        Path("/proc/sys/user/max_user_namespaces").write_text("0")  # of those within this one
        _read_only("/proc", 0)  # a grader who is root owns the system's settings there
    check(_libc.umount2(_OLD.encode(), _DETACH), "umount2")
    os.rmdir(_OLD)
    _read_only("/", 0)


def _show(path: str) -> None:
    source = _OLD + path
    if os.path.isdir(source):
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).touch()
    _mount(source, path, None, _BIND | _RECURSIVE)
    if os.path.isdir(source):
        _read_only(path, _AT_RECURSIVE)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    kind = kind and kind.encode()
    result = _libc.mount(
        source.encode(), target.encode(), kind, ctypes.c_ulong(flags), data.encode() or None
    )
    check(result, f"mount {target}")


def _read_only(path: str, flags: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(_ATTR_READ_ONLY_NOSUID, 0, 0, 0)
    result = _libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, attributes,
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )  # fmt: skip
    check(result, f"mount_setattr {path}")


def drop_capabilities() -> None:
    """Give up for good the rights over the new namespaces, such as to unmount what covers a file.

    Raises:
        OSError: the kernel refused.
    """
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        prctl(_BOUNDING_DROP, capability)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
