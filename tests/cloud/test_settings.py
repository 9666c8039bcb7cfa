"""Settings go to a child and come back whole, and say what is wrong with them without a password."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from cloud.settings import CloudSettings, SettingsError

GIVEN = CloudSettings(
    database="host=/run/a dbname=b password=hush",
    broker="mqtts://broker.example:8884",
    more_brokers=("mqtts://second.example", "mqtts://third.example:8885"),
    broker_password=SecretStr("hush"),
    broker_ca=Path("/c"),
    evidence=Path("/e"),
    tuf=Path("/t"),
    keys=Path("/k"),
    partitions=16,
)


def test_a_child_gets_what_its_parent_has() -> None:
    assert CloudSettings.from_environment(GIVEN.environment()) == GIVEN


def test_the_broker_s_address_is_taken_apart() -> None:
    assert (GIVEN.broker_host, GIVEN.broker_port, GIVEN.broker_tls) == ("broker.example", 8884, True)
    assert GIVEN.brokers == ("mqtts://broker.example:8884", "mqtts://second.example", "mqtts://third.example:8885")
    plain = GIVEN.model_copy(update={"broker": "mqtt://10.0.0.1"})
    assert (plain.broker_host, plain.broker_port, plain.broker_tls) == ("10.0.0.1", 1883, False)


def test_no_password_is_shown() -> None:
    assert "hush" not in repr(GIVEN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"VEDETTE_DATABASE": None}, "VEDETTE_DATABASE: is missing; set it"),
        ({"VEDETTE_BROKER": "http://x"}, "VEDETTE_BROKER: must be mqtt://host:port or mqtts://host:port"),
        ({"VEDETTE_BROKER": "mqtt://u:hush@x"}, "VEDETTE_BROKER: must not carry a password"),
        (
            {"VEDETTE_MORE_BROKERS": "mqtts://a, x"},
            "VEDETTE_MORE_BROKERS: must be mqtt://host:port or mqtts://host:port",
        ),
        ({"VEDETTE_MORE_BROKERS": "mqtt://a"}, "VEDETTE_MORE_BROKERS: mqtt://a must be mqtts:// as VEDETTE_BROKER is"),
        ({"VEDETTE_PARTITIONS": "257"}, "VEDETTE_PARTITIONS: Input should be less than or equal to 256"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, str | None], message: str) -> None:
    given = {name: value for name, value in {**GIVEN.environment(), **change}.items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        CloudSettings.from_environment(given)
    assert message in str(caught.value)
    assert "hush" not in str(caught.value)
