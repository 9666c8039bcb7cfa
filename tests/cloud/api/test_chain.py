"""From a node's record to the page: broker, ingest, journal, rules, warning, feed, WebSocket; all of it real."""

import json
import time
from collections.abc import Callable

from websockets.sync.client import connect

from cloud.settings import CloudSettings
from contract.detections import Detection
from contract.records import Event, Lane, ModelRef, Phase
from tests.cloud.api.conftest import serving
from tests.cloud.ingest.conftest import Node, nodes, working

__all__ = ["nodes"]


def test_a_fire_on_a_camera_is_on_the_page(settings: CloudSettings, nodes: Callable[..., Node]) -> None:
    node = nodes()
    with working(settings), serving(settings) as api, connect(api.live, max_size=None) as page:
        assert json.loads(page.recv())["warnings"] == []
        now = time.time_ns() // 1000
        box = Detection("fire", 0.9, (0.2, 0.2, 0.4, 0.5))
        fire = Event(
            id="fire-1",
            kind="fire",
            phase=Phase.OPEN,
            revision=1,
            time=now,
            started=now,
            source="lobby",
            score=0.9,
            model=ModelRef(name="fire", version="1.0.0", sha256="ab" * 32),
            detections=(box,),
            detected=now,
        )
        node.send(1, [fire], Lane.ALARM)
        warnings: list[dict[str, object]] = []
        while not warnings:
            warnings = json.loads(page.recv(timeout=10)).get("warnings", [])
        warning = warnings[0]
        assert (warning["kind"], warning["state"], warning["severity"]) == ("fire", "open", "Severe")
        assert warning["detections"] == [{"label": "fire", "score": 0.9, "box": [0.2, 0.2, 0.4, 0.5], "track": None}]
        assert (warning["captured"], warning["events"]) == (now, ["fire-1"])
        assert "<status>Test</status>" in api.http.get(f"/api/v1/warnings/{warning['id']}/cap").text
