"""Nothing is lost and nothing counts twice, whatever dies, stands still, is cut or garbled; the short form of
``make chaos``."""

import os
import secrets
from pathlib import Path

import pytest

from tests.chaos.plan import Kind
from tests.chaos.run import Scale, run

SHORT = Scale(records=40_000, faults=26, pause_s=1.4)


@pytest.mark.slow  # faults one after the other, some of which last longer than half a minute
@pytest.mark.timeout(420)
def test_nothing_is_lost_and_nothing_counts_twice(tmp_path: Path) -> None:
    seed = int(os.environ.get("VEDETTE_CHAOS_SEED") or secrets.randbits(32))
    outcome = run(seed, SHORT, tmp_path, print)
    assert outcome.report.records.total() == SHORT.records
    assert {fault.kind for fault in outcome.faults} & {Kind.KILL, Kind.STOP, Kind.CUT} == {
        Kind.KILL,
        Kind.STOP,
        Kind.CUT,
    }
