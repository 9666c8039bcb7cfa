"""Start a program that refuses to run as root, from root: ``python -m cloud.servers.unprivileged PROGRAM ARGUMENT...``

The process moves into a user namespace of its own in which it is user 1000; outside it stays who it was, so files keep
their owner. Then it becomes the program. For anyone but root it becomes the program at once. See user_namespaces(7).

Where ``VEDETTE_PARENT`` holds the parent's process number and a signal's, the kernel sends that signal when the parent
dies (prctl(2)).
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
INNER_ID = 1000
EXIT_REFUSED = 78
"""``EX_CONFIG`` of sysexits.h: this machine's configuration does not let us."""

EXIT_ORPHANED = 75
"""``EX_TEMPFAIL``: nobody is there any more who wanted this."""


def become_unprivileged() -> None:
    """Leave root's identity in a new user namespace.

    Raises:
        OSError: the kernel or a container's seccomp profile refuses user namespaces.
    """
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INNER_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{INNER_ID} {gid} 1")


def main(arguments: list[str]) -> int:
    """Become ``arguments``; returns an exit status only when that is refused."""
    if not arguments:
        print("usage: python -m cloud.servers.unprivileged PROGRAM ARGUMENT...", file=sys.stderr)  # noqa: T201
        return 2
    if os.geteuid() == 0:
        try:
            become_unprivileged()
        except OSError as error:
            print(  # noqa: T201
                f"{Path(arguments[0]).name} refuses to run as root, and this machine refuses user namespaces "
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
