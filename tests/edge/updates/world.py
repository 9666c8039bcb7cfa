"""A cloud and a node on loopback: real repositories on disk, a real HTTP server, the real client."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cloud.fleet.director import Director
from cloud.fleet.keys import KeyStore
from cloud.fleet.repository import Release, ReleaseRepository
from edge.config import NodeConfig
from edge.paths import NodePaths
from edge.updates.client import UpdateClient
from edge.updates.fetcher import Fetcher
from edge.updates.state import Notes
from tests.edge.updates.releases import write_release

SITE, NODE = "mill", "gate"
DAY = 86_400 * 1_000_000

Answer = bytes | int | Callable[[Any], None]


class Web:
    """Serves the repositories' folders; ``wrong`` replaces an answer: by other bytes, a status, or a handler."""

    def __init__(self, tuf: Path) -> None:
        self.wrong: dict[str, Answer] = {}
        self.asked: list[str] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                answer = web.wrong[self.path] if self.path in web.wrong else _file(tuf, self.path)
                if callable(answer):
                    answer(self)
                    return
                body = answer if isinstance(answer, bytes) else b""
                self.send_response(answer if isinstance(answer, int) else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class World:
    """One installation with one node."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.now = 1_790_000_000_000_000
        self.use_real_time()
        keys = KeyStore(folder / "keys")
        self.repository = ReleaseRepository(folder / "tuf" / "releases", keys, lambda: self.now)
        self.director = Director(folder / "tuf" / "directors", keys, lambda: self.now)
        self.repository.create()
        self.director.create(SITE, NODE)
        self.trust = folder / "trust"
        self.export_trust()
        self.config = node_config(folder, url)
        self.paths = NodePaths(folder / "node", folder / "run")
        self.paths.make()
        self.notes = Notes(self.paths.models)
        self.fetcher = Fetcher(self.config, timeout_s=1.0)

    def use_real_time(self) -> None:
        """Expiry is told by the machine's clock: repositories sign by it too."""
        self.now = time.time_ns() // 1000

    def export_trust(self) -> None:
        """What an installer carries to the box."""
        self.trust.mkdir(exist_ok=True)
        for name, metadata in (
            ("releases", self.repository.metadata),
            ("director", self.director.metadata(SITE, NODE)),
        ):
            (self.trust / f"{name}.root.json").write_bytes((metadata.folder / "1.root.json").read_bytes())

    def publish(self, version: str, floor: str | None = None, **changes: Any) -> Release:
        """Publish a release of ``fire``."""
        folder = self.folder / "zoo" / version
        write_release(folder, version, **changes)
        return self.repository.publish(str(changes.get("name", "fire")), folder, floor)

    def assign(self, *releases: Release) -> None:
        """Let the director name these and nothing else."""
        self.director.assign(SITE, NODE, {release.name: release for release in releases})

    def client(self) -> UpdateClient:
        """The node's client, as after a restart."""
        return UpdateClient(self.config, self.paths, lambda: self.now, self.fetcher)

    def refused(self, name: str = "fire") -> str:
        """Why the last offer was refused; empty where it was not."""
        offer = self.notes.offer(name)
        return offer.reason if offer is not None else ""

    def staged(self, version: str, name: str = "fire") -> bool:
        """Whether a release lies in its place."""
        return (self.paths.models / name / version / "manifest.json").exists()


def node_config(folder: Path, url: str) -> NodeConfig:
    """The node's settings."""
    return NodeConfig.model_validate(
        {
            "node": NODE,
            "site": SITE,
            "uplink": {"broker": "mqtt://127.0.0.1:1", "cloud": url, "username": f"{SITE}/{NODE}", "password": "x"},
            "trust": str(folder / "trust"),
        }
    )


@contextmanager
def running_world(folder: Path) -> Iterator[tuple[World, Web]]:
    """A world and its web server, for as long as the block lasts."""
    web = Web(folder / "tuf")
    world = World(folder, web.url)
    try:
        yield world, web
    finally:
        world.fetcher.close()
        web.close()


def _file(tuf: Path, url: str) -> Answer:
    parts = url.strip("/").split("/")
    path = tuf.joinpath("releases", *parts[1:]) if parts[0] == "tuf" else tuf.joinpath("directors", *parts[1:])
    return path.read_bytes() if path.is_file() else 404
