"""``vedette status`` says what is wrong with a node, and nothing of one that is well."""

from typing import Any

import pytest

from vedette.commands.watch import _node_lines

NOW = "2026-01-01T00:10:00+00:00"
WELL = {
    "heartbeat": "2026-01-01T00:09:20Z",
    "health_time": "2026-01-01T00:09:55Z",
    "clock_ahead_s": 0.1,
    "readings_thinned": 0,
    "uploads_lost": 0,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ["last heartbeat through 40 s ago"]),
        ({"heartbeat": None}, []),
        ({"heartbeat": None, "health_time": None, "clock_ahead_s": None}, ["HAS NEVER SPOKEN"]),
        ({"heartbeat": None, "clock_ahead_s": -180.2}, ["CLOCK 180 s SLOW"]),
        ({"heartbeat": None, "clock_ahead_s": 6.0}, ["CLOCK 6 s FAST"]),
        (
            {"heartbeat": None, "readings_thinned": 5, "uploads_lost": 2},
            ["5 readings gave way to summaries", "2 evidence files were given up"],
        ),
    ],
)
def test_what_is_wrong_with_a_node_is_said(change: dict[str, Any], said: list[str]) -> None:
    assert list(_node_lines(WELL | change, NOW)) == said
