"""Run a program that ends when its parent does: ``python -m vedette.up.child SIGNAL PROGRAM [ARGUMENT ...]``.

``prctl(PR_SET_PDEATHSIG)`` (prctl(2)) survives an exec. It is set before the parent is looked at: a parent that died in
between is seen by its number, one that dies later sends the signal.
"""

import ctypes
import os
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(signal_number: int, parent: int) -> None:
    """Ask the kernel for ``signal_number`` when the process ``parent`` is gone; exit if it already is.

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    number, parent, *command = sys.argv[1:]
    die_with_parent(int(number), int(parent))
    os.execvp(command[0], command)  # noqa: S606 - the command line is our parent's
