"""What could not be taken in lies there with its reason, and comes in once it makes sense: all of it, and once."""

from collections.abc import Callable

import pytest

from cloud.ingest import quarantine, records
from cloud.ingest.quarantine import QuarantineError
from cloud.settings import CloudSettings
from cloud.store.connection import connect
from contract.records import Lane, Phase, Reading
from contract.wire import Bad, encode_record
from tests.cloud.ingest.conftest import Node, await_rows, batch, rows, working
from tests.cloud.ingest.test_worker import event, reading, values

Make = Callable[..., Node]
STRANGE = b"\x81\xa4type\xa4wish"


def picky(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that finds readings of 7 unfit: what an update changes."""
    fit = records.unfit
    seven = "seven is no number"
    monkeypatch.setattr(records, "unfit", lambda r: seven if isinstance(r, Reading) and r.value == 7 else fit(r))


def test_what_an_update_makes_sense_of_comes_in_once(
    settings: CloudSettings, nodes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes()
    with monkeypatch.context() as release:
        picky(release)
        with working(settings):
            node.send(1, [reading(1), reading(7), STRANGE])
            node.acked(3)
            node.send(4, [*[reading(7)] * 150, reading(2), *[STRANGE] * 10])
            node.acked(164)
    assert values(settings.database) == [1.0, 2.0]
    with connect(settings.database, "test") as connection:
        many, strange, seven = quarantine.kept(connection, site="mill", node=node.address.node)
        assert (seven.lane, seven.number, seven.reason) == (Lane.LIVE, 2, "seven is no number")
        assert (strange.number, many.number) == (3, 4)
        assert many.reason.startswith("160 of 161 records make no sense; the first: seven")
        assert quarantine.retry(connection, seven.id).taken == 1
        with pytest.raises(QuarantineError, match="still makes no sense"):
            quarantine.retry(connection, strange.id)
        done = quarantine.retry(connection, many.id)
        assert (done.taken, len(done.bad)) == (150, 10)
        (left, _) = quarantine.kept(connection)
        assert len(left.batch().records) == 10
        with pytest.raises(QuarantineError, match="still makes no sense"):
            quarantine.retry(connection, many.id)
        with pytest.raises(QuarantineError, match=f"quarantine has no {seven.id}"):
            quarantine.retry(connection, seven.id)
    assert values(settings.database) == [1.0, 2.0, *[7.0] * 151]


def test_what_comes_in_late_is_history_and_warns_nobody(
    settings: CloudSettings, nodes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes()
    fires = [event(1), event(2, phase=Phase.CLOSE)]
    with monkeypatch.context() as release:
        release.setattr(records, "unfit", lambda _: "not today")
        with working(settings):
            node.send(1, fires, Lane.ALARM)
            node.acked(2, Lane.ALARM)
    with connect(settings.database, "test") as connection, working(settings):
        for one in quarantine.kept(connection):
            quarantine.retry(connection, one.id)
        steps = await_rows(settings.database, "SELECT kind, state, cap_type FROM warning_step", bool)
        assert steps == [("remembered", "resolved", None)]
    assert rows(settings.database, "SELECT revision, phase FROM event") == [(2, "close")]
    assert rows(settings.database, "SELECT count(*) FROM quarantine") == [(0,)]


def test_a_strangers_batch_waits_for_its_enrolment(settings: CloudSettings, nodes: Make) -> None:
    stranger = nodes(enrolled=-1)
    with working(settings):
        stranger.send(1, [reading(1), reading(2)])
        await_rows(settings.database, "SELECT 1 FROM quarantine", bool)
    with connect(settings.database, "test") as connection:
        (one,) = quarantine.kept(connection)
        with pytest.raises(QuarantineError, match="is not enrolled; enrol it first"):
            quarantine.retry(connection, one.id)
        connection.execute("INSERT INTO node (site, node, partition) VALUES ('mill', %s, 5)", [stranger.address.node])
        assert quarantine.retry(connection, one.id).taken == 2
    assert values(settings.database) == [1.0, 2.0]


def test_only_the_bad_ones_are_kept_of_a_batch() -> None:
    raws = [encode_record(reading(1)), STRANGE, encode_record(reading(2)), STRANGE]
    whole = batch(3, 10, raws)
    left = records.only(whole, [Bad(1, STRANGE, "x"), Bad(3, STRANGE, "x")])
    assert [bytes(raw) for raw in left.records] == [STRANGE, STRANGE]
    assert (left.epoch, left.first, left.last) == (3, 10, 11)
