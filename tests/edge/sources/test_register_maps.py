"""Register maps that ship: right by the maker's list where it is at hand, and usable as they are."""

import csv
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.config import Sensor
from edge.sources.modbus import plan

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("VEDETTE_DATA", ROOT.parent / "shared" / "data"))
MAPS = ROOT / "firmware-configs" / "sensors"


@pytest.fixture
def oi_7500() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((MAPS / "oi-7500.yaml").read_text())
    return found


@pytest.mark.parametrize("path", sorted(MAPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_example_of_a_map_is_a_sensor(path: Path) -> None:
    sensor = Sensor.model_validate(yaml.safe_load(path.read_text())["example"])
    assert plan(sensor.channels)


def test_the_addresses_of_the_oi_7500_are_those_of_its_list(oi_7500: dict[str, Any]) -> None:
    path = DATA / "sensors" / "modbus" / "OI-7500-register-map.csv"
    if not path.exists():
        pytest.skip(f"needs the maker's register list {path} (set VEDETTE_DATA)")
    listed = {}
    with path.open(newline="", encoding="latin-1") as file:
        for row in csv.reader(file):
            if len(row) > 5 and row[1].strip().isdecimal():
                listed[re.sub(r"\s+", " ", row[2]).strip().lower()] = (int(row[1]), row[5].strip())
    names = {
        "reading": "reading",
        "mode": "mode",
        "battery_volts": "battery",
        "silent_s": "sec since last message",
        "sensor_type": "sensor type",
        "gas": "gas type",
        "fault": "fault",
        "enabled": "on/off",
        "relay_1_set_point": "relay 1 set point",
        "relay_2_set_point": "relay 2 set point",
        "relay_3_set_point": "relay 3 set point",
    }
    for ours, theirs in names.items():
        entry = oi_7500["per_channel"][ours]
        for channel in (1, 2, 32):
            address, bits = listed[f"channel {channel} {theirs}"]
            assert entry["first"] + entry["step"] * (channel - 1) == address - 1, (ours, channel)
            assert entry["type"].endswith(bits), ours
    for number in (1, 2, 3):
        entry = oi_7500["whole_device"][f"relay_{number}_in_alarm"]
        assert entry["address"] == listed[f"relay {number} is in alarm"][0] - 1
    assert oi_7500["whole_device"]["uptime_days"]["address"] == listed["uptime days"][0] - 1
