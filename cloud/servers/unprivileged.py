"""Start a program that refuses to run as root, from root: ``python -m cloud.servers.unprivileged PROGRAM ARGUMENT...``

The process moves into a user namespace of its own in which it is user 1000; outside it stays who it was, so files keep
their owner (user_namespaces(7)). Where that is refused, as in a chroot or in most containers, it becomes user 65534 for
good and keeps one thing of root's: to reach files whatever their permissions (``CAP_DAC_OVERRIDE``, ambient, see
capabilities(7)), since the folders above its own are closed to others. The folder after ``-D`` is then given
to that user. For anyone but root the process becomes the program at once.

Where ``VEDETTE_PARENT`` holds the parent's process number and a signal's, the kernel sends that signal when the parent
dies (prctl(2)).
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

CLONE_NEWUSER: Final = 0x10000000
PR_SET_PDEATHSIG: Final = 1
INNER_ID: Final = 1000
NOBODY: Final = 65534
"""Who the program is where user namespaces are refused; the kernel's own overflow user."""
EXIT_REFUSED: Final = 78
"""``EX_CONFIG`` of sysexits.h: this machine's configuration does not let us."""
EXIT_ORPHANED: Final = 75
"""``EX_TEMPFAIL``: nobody is there any more who wanted this."""
_PR_SET_KEEPCAPS: Final = 8
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAP_DAC_OVERRIDE: Final = 1
_CAPABILITY_VERSION_3: Final = 0x20080522


def become_unprivileged(folder: Path | None) -> None:
    """Be somebody else than root, by a user namespace or else for good.

    Args:
        folder: the program's data. Once it was given to ``NOBODY``, it stays with him.

    Raises:
        OSError: neither is allowed.
    """
    kept = folder if folder is not None and folder.exists() else None
    if kept is None or kept.stat().st_uid != NOBODY:
        try:
            _enter_namespace()
        except OSError:
            pass
        else:
            return
    if kept is not None:
        _give(kept, NOBODY)
    _drop_root()


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INNER_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{INNER_ID} {gid} 1")


def _drop_root() -> None:
    """Become ``NOBODY`` and keep ``CAP_DAC_OVERRIDE`` across the exec to come."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(result: int, what: str) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), what)

    call(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    kept = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)  # effective, permitted, inheritable; low word, high word
    call(libc.capset(header, sets), "capset")
    call(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0), "prctl(PR_CAP_AMBIENT)")


def _give(folder: Path, owner: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def main(arguments: list[str]) -> int:
    """Become ``arguments``; returns an exit status only when that is refused."""
    if not arguments:
        print("usage: python -m cloud.servers.unprivileged PROGRAM ARGUMENT...", file=sys.stderr)  # noqa: T201
        return 2
    if os.geteuid() == 0:
        try:
            become_unprivileged(Path(arguments[arguments.index("-D") + 1]) if "-D" in arguments else None)
        except OSError as error:
            print(  # noqa: T201
                f"{Path(arguments[0]).name} refuses to run as root, and this machine lets root become nobody else "
                f"({error.strerror}); run Vedette as an ordinary user, or name a running PostgreSQL with --database",
                file=sys.stderr,
            )
            return EXIT_REFUSED
    parent, _, number = os.environ.pop("VEDETTE_PARENT", "").partition(" ")
    if parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != int(parent):
            return EXIT_ORPHANED  # it died before we asked
    os.execv(arguments[0], arguments)  # noqa: S606
    raise AssertionError("unreachable")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
