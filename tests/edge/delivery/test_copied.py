"""Two boxes from one card: same name, same secret, same outbox. Neither deletes what only the other has delivered."""

import itertools
import random
import shutil
from pathlib import Path

import pytest

from cloud.settings import CloudSettings
from contract.records import Lane, Reading
from contract.topics import Address
from contract.wire import encode
from edge.delivery.conversation import Conversation, State
from edge.delivery.outbox import Outbox
from tests.cloud.ingest.conftest import rows, settings, working  # noqa: F401
from tests.conftest import RunningBroker
from tests.edge.delivery.model import Channel as Simulated
from tests.edge.delivery.model import Cloud, Faults
from tests.edge.delivery.samples import Clock, make, reading
from tests.edge.delivery.talking import talking
from tests.edge.delivery.test_skew import WrongClock, enrol

clock = WrongClock(0)


def gas(value: float) -> Reading:
    return Reading(time=clock(), source="gas", quantity="co", value=value)


def opened(folder: Path, boot: str) -> Outbox:
    return Outbox(folder / "outbox.sqlite", 10**9, clock, boot=boot)


def copied(folder: Path, to: Path) -> Path:
    """The whole card, as it lies there."""
    to.mkdir()
    for file in folder.glob("outbox.sqlite*"):
        shutil.copy(file, to / file.name)
    return to


def values(database: str) -> list[float]:
    return [row[0] for row in rows(database, "SELECT value FROM reading ORDER BY value")]  # type: ignore[misc]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("running", [False, True], ids=["of a box that was off", "of a box that ran on"])
def test_two_boxes_with_one_card_lose_nothing(
    settings: CloudSettings,  # noqa: F811
    broker: RunningBroker,
    tmp_path: Path,
    card: Path,
    running: bool,
) -> None:
    address = Address(5, "mill", f"copied-{running}".lower())
    enrol(settings.database, address)
    who = broker.add_node(address)
    one = opened(card, "boot-1")
    with working(settings, {}):
        one.append([gas(1)])
        with talking(one, address, clock, broker, who) as talker:
            talker.deliver()
        if not running:
            one.close()
        other = opened(copied(card, tmp_path / "copy"), "boot-2")
        if not running:
            one = opened(card, "boot-3")
        number = itertools.count(2)
        for _ in range(2):
            # What the copy sends is lost on its way; then the other is on the air, and gives the same numbers.
            for box in (other, one):
                with talking(box, address, clock, broker, who) as talker:
                    talker.until(lambda talker=talker: talker.conversation.state is State.TALKING)  # type: ignore[misc]
                box.append([gas(next(number)) for _ in range(3)])
                assert box.number(Lane.LIVE, 10) is not None
            for box in (one, other):
                with talking(box, address, clock, broker, who) as talker:
                    talker.deliver()
        one.close()
        other.close()
    assert values(settings.database) == [float(value) for value in range(1, 14)]


def conversed(outbox: Outbox, cloud: Cloud) -> Simulated:
    conversation = Conversation(outbox, Clock())
    channel = Simulated(conversation, cloud, Faults(delay=0.01), random.Random(1))
    conversation.connected(0.0)
    return channel


def test_what_the_copy_holds_with_a_number_is_taken_once(tmp_path: Path, card: Path) -> None:
    """A batch that was on its way when the card was copied lies on both."""
    one = make(card, boot="a")
    one.append([reading(1)])
    conversed(one, cloud := Cloud()).run(1.0)
    one.append([reading(2)])
    one.number(Lane.LIVE, 10)
    other = make(copied(card, tmp_path / "copy"), boot="b")
    conversed(one, cloud).run(10.0)
    other.append([reading(3)])
    conversed(other, cloud).run(10.0)
    assert cloud.records[Lane.LIVE] == [reading(1), reading(2), reading(3)]
    assert len(cloud.epochs) == 2


def test_after_a_restart_what_was_under_way_is_asked_for_twice_and_then_sent_once(card: Path) -> None:
    before = make(card, boot="a")
    before.append([reading(1), reading(2)])
    conversed(before, cloud := Cloud()).run(1.0)
    before.append([reading(3)])
    lost = before.number(Lane.LIVE, 10)
    before.close()
    again = make(card, boot="b")
    channel = conversed(again, cloud)
    channel.run(1.0)
    assert channel.batches() == []
    assert lost is not None
    cloud.hear(encode(lost.message(1)))  # it had been on its way all the time
    channel.run(10.0)
    again.append([reading(4)])
    channel.run(20.0)
    assert cloud.records[Lane.LIVE] == [reading(1), reading(2), reading(3), reading(4)]
    assert again.waiting() == dict.fromkeys(Lane, 0)
    again.close()


def test_a_restart_of_delivery_alone_begins_no_epoch(card: Path) -> None:
    cloud = Cloud()
    for value in range(3):
        box = make(card, boot="a")
        box.append([reading(value)])
        conversed(box, cloud).run(1.0)
        box.close()
    assert len(cloud.epochs) == 1
    assert len(cloud.records[Lane.LIVE]) == 3


def test_a_file_copied_on_the_same_machine_begins_a_new_epoch(tmp_path: Path, card: Path) -> None:
    """Two containers on one host share its boot; their volumes are two files."""
    box = make(card, boot="a")
    conversed(box, cloud := Cloud()).run(1.0)
    copy = make(copied(card, tmp_path / "copy"), boot="a")
    conversed(copy, cloud).run(1.0)
    assert copy.epoch != box.epoch
    assert cloud.epochs == [box.epoch, copy.epoch]


def test_a_second_copy_of_the_first_answer_makes_nothing_sure(card: Path) -> None:
    """Hello was sent twice before the answer came, so that two answers come: both are of before the doubt."""
    before = make(card, boot="a")
    before.append([reading(1)])
    conversed(before, cloud := Cloud()).run(1.0)
    before.append([reading(2)])
    before.number(Lane.LIVE, 10)
    before.close()
    again = make(card, boot="b")
    channel = conversed(again, cloud)
    epoch = again.epoch
    [hello] = list(channel.conversation.outgoing(0.0))
    answer = cloud.hear(hello)
    for _ in range(3):
        channel.conversation.receive(answer, 0.01)
    assert again.epoch == epoch
    again.close()
