"""CSV replay: a measured series comes as it was measured, and what it lacks is not made up."""

import itertools
import os
from pathlib import Path

import pytest

from edge.config import Sensor
from edge.sources.replay import load_rows, play, step_s
from edge.sources.sensor import SensorError

DATA = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[4] / "shared" / "data"))


def sensor(path: Path, **settings: object) -> Sensor:
    channels = [{"quantity": "co", "column": "CO", "unit": "[ppm]", "scale": 1e6}]
    return Sensor.model_validate({"url": str(path), "channels": channels, "time_column": "Time"} | settings)


def written(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text)
    return path


def test_rows_come_in_order_from_zero_in_the_channels_unit(tmp_path: Path) -> None:
    path = written(tmp_path, "Time,CO\n-5,0.00001\n5,0.00003\n0,0.00002\n")
    rows = load_rows("gas", sensor(path))
    assert [row.at_s for row in rows] == [0, 5, 10]
    assert [row.values["co"] for row in rows] == pytest.approx([10, 20, 30])
    assert step_s(rows) == 5


def test_what_is_no_number_is_no_value(tmp_path: Path) -> None:
    path = written(tmp_path, "Time,CO\n0,NaN\n1,\n2,inf\n3,n/a\nlate,1\n4\n")
    rows = load_rows("gas", sensor(path))
    assert [row.at_s for row in rows] == [0, 1, 2, 3, 4]
    assert all(row.values["co"] is None for row in rows)


def test_round_and_round_the_time_goes_on(tmp_path: Path) -> None:
    rows = load_rows("gas", sensor(written(tmp_path, "Time,CO\n0,1\n2,2\n4,3\n")))
    assert [row.at_s for row in itertools.islice(play(rows, loop=True), 7)] == [0, 2, 4, 6, 8, 10, 12]
    assert len(list(play(rows, loop=False))) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Time,O2\n0,1\n", "has no column 'CO'; it has: Time, O2 (sensors.gas)"),
        ("Seconds,CO\n0,1\n", "has no column 'Time'"),
        ("Time,CO\n", "has no line with a number in 'Time'; check time_column"),
        ("", "has no column 'Time'; it has: none at all"),
    ],
)
def test_a_file_that_does_not_fit_is_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SensorError) as caught:
        load_rows("gas", sensor(written(tmp_path, text)))
    assert says in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match=r"absent\.csv cannot be read: No such file or directory; check the path"):
        load_rows("gas", sensor(tmp_path / "absent.csv"))


def test_a_measured_fire_is_read() -> None:
    path = DATA / "sensors" / "nist_fires" / "ISOHept19.csv"
    if not path.exists():
        pytest.skip(f"needs the measured fires in {path.parent} (set VEDETTE_DATA)")
    channels = [{"quantity": "co", "column": "CORear", "scale": 1e6}]
    rows = load_rows("gas", sensor(path, channels=channels))
    assert step_s(rows) == 5
    assert max(row.values["co"] or 0 for row in rows) > 1000, "a room on fire"
