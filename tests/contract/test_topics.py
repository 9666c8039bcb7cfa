"""Topics name a node, and nothing else passes for one."""

import pytest

from contract.topics import Address, Channel, every, parse


def test_topic_names_the_node_and_comes_back() -> None:
    address = Address(17, "harbour", "gate-1")
    assert address.topic(Channel.UP) == "vedette/v1/17/harbour/gate-1/up"
    assert parse(address.topic(Channel.ACK)) == (address, Channel.ACK)
    assert address.events("fire") == "vedette/v1/events/harbour/gate-1/fire"
    assert every(Channel.UP) == "vedette/v1/+/+/+/up"
    assert every(Channel.UP, 17) == "vedette/v1/17/+/+/up"


@pytest.mark.parametrize(
    "topic",
    ["vedette/v1/256/harbour/gate-1/up", "vedette/v1/x/harbour/gate-1/up", "vedette/v1/1/Harbour/gate-1/up",
     "vedette/v1/1/harbour/gate-1/sideways", "vedette/v2/1/harbour/gate-1/up", "vedette/v1/1/harbour/up",
     "vedette/v1/²/harbour/gate-1/up", "vedette/v1/1/harbour/gate-1/up/more"],
)  # fmt: skip
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(ValueError):
        parse(topic)


def test_wildcard_can_be_no_name() -> None:
    with pytest.raises(ValueError, match="site '\\+' is not a valid id"):
        Address(1, "+", "gate-1")
