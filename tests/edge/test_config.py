"""``node.yaml``: what an installer may get wrong, and what the answer says."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Camera, ConfigError, NodeConfig, load_config, redact
from edge.schema import example_yaml, schema

GOOD: dict[str, Any] = {
    "node": "box-1",
    "site": "harbour",
    "uplink": {"broker": "mqtt://127.0.0.1:1883", "cloud": "http://127.0.0.1:8080", "password": "hunter2"},
    "cameras": {
        "lobby": {
            "url": "rtsp://admin:hunter2@127.0.0.1/1",
            "zones": {"door": {"points": [[0, 0], [1, 0], [1, 1]], "crowd_limit": 5}},
        }
    },
    "sensors": {
        "gas": {
            "url": "modbus://127.0.0.1:502/1",
            "channels": [{"quantity": "co", "register": 0, "alarm": {"low": 30, "high": 60}}],
        }
    },
}


def changed(place: str, value: Any) -> dict[str, Any]:
    """The good settings with one value other than it was, or one key more."""
    settings: dict[str, Any] = json.loads(json.dumps(GOOD))
    *steps, last = place.split(".")
    here: Any = settings
    for step in steps:
        here = here[int(step) if step.isdecimal() else step]
    here[int(last) if last.isdecimal() else last] = value
    return settings


def load(folder: Path, settings: dict[str, Any] | str) -> NodeConfig:
    path = folder / "node.yaml"
    path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
    return load_config(path)


def refused(folder: Path, settings: dict[str, Any] | str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, settings)
    assert "hunter2" not in str(caught.value), "never a password in a message"
    return str(caught.value)


def test_good_settings_are_taken(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert config.cameras["lobby"].kind == "rtsp"
    assert config.sensors["gas"].kind == "modbus"
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize(
    ("place", "near"),
    [
        ("nod", "node"),
        ("uplink.brokr", "broker"),
        ("storage", None),
        ("cameras.lobby.crowd_limits", "crowd_limit"),
        ("cameras.lobby.zones.door.pionts", "points"),
        ("sensors.gas.chanels", "channels"),
        ("sensors.gas.channels.0.quantiy", "quantity"),
        ("sensors.gas.channels.0.alarm.hihg", "high"),
    ],
)
def test_an_unknown_key_is_named_with_its_place_and_the_nearest_known_one(
    tmp_path: Path, place: str, near: str | None
) -> None:
    settings = changed(place, "hunter2" if near else {"fodler": 1})
    message = refused(tmp_path, settings)
    assert str(tmp_path / "node.yaml") in message
    if near is not None:
        assert f"{place}: unknown key; did you mean {near!r}?" in message
    else:
        assert "storage.fodler: unknown key; did you mean 'folder'?" in message


def test_a_key_like_none_that_is_known_brings_the_list(tmp_path: Path) -> None:
    message = refused(tmp_path, changed("uplink.zzz", 1))
    assert "uplink.zzz: unknown key; known here: broker, ca_file, cloud, interfaces, more_brokers, password" in message


def test_a_camera_named_like_a_key_confuses_nobody(tmp_path: Path) -> None:
    settings = changed("cameras.url", {"url": "usb:0", "fsp": 5})
    assert "cameras.url.fsp: unknown key; did you mean 'fps'?" in refused(tmp_path, settings)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("node", "Box 1", "node: id 'Box 1' is not a valid id; use 1 to 32 characters"),
        ("node", None, "node: "),
        ("cameras.lobby.fps", 0, "cameras.lobby.fps: Input should be greater than 0 (is 0)"),
        ("cameras.lobby.fps", float("nan"), "cameras.lobby.fps: "),
        ("cameras.lobby.url", "ftp://u:hunter2@x/y", "'ftp' is no kind of camera; use rtsp://"),
        ("cameras.lobby.url", "rtsp:///stream", "names no host"),
        ("cameras.lobby.url", "rtsp://u:hunter2@host:port/1", "has a port that is no number"),
        ("cameras.lobby.url", "usb:front", "write usb:0 for the first"),
        ("cameras.lobby", "rtsp://u:hunter2@x/y", "cameras.lobby: is no part of its own; write one below it"),
        ("cameras.lobby.detectors", ["fire", "fire"], "detector 'fire' stands there twice"),
        ("cameras.lobby.zones.door.points", [[0, 0], [1, 1]], "cameras.lobby.zones.door.points: "),
        ("cameras.lobby.zones.door.points.0", [0, 1.5], "cameras.lobby.zones.door.points.0.1: "),
        ("sensors.gas.url", "opc://x", "'opc' is no kind of sensor"),
        ("sensors.gas.url", "modbus://h/300", "unit of 0 to 255"),
        ("sensors.gas.channels", [], "sensors.gas.channels: "),
        ("sensors.gas.channels.0.register", None, "channel 'co' has no register, which a modbus sensor needs"),
        ("sensors.gas.channels.0.range", [5, 1], "the lower end comes first"),
        ("sensors.gas.channels.0.alarm", {"low": 60, "high": 30}, "for oxygen write falling: true"),
        ("sensors.gas.channels.0.alarm", {"low": 3, "high": 9, "falling": True}, "without falling, high is above low"),
        ("uplink.broker", "http://host", "uplink.broker: is no address; write mqtts://host"),
        ("uplink.broker", "mqtt://node:hunter2@host", "write them as username and password_file"),
        ("uplink", {}, "uplink.broker: is missing; add it"),
        ("sensors.lobby", {"url": "a.csv", "channels": [{"quantity": "co", "column": "CO"}]}, "also a camera's name"),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_the_way_out(
    tmp_path: Path, place: str, value: Any, says: str
) -> None:
    assert says in refused(tmp_path, changed(place, value))


def test_every_fault_has_a_line_of_its_own(tmp_path: Path) -> None:
    settings = changed("cameras.lobby.fps", 99) | {"threads": 0}
    assert len(refused(tmp_path, settings).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("node: [", "line 1: not YAML"),
        ("node: 'a\nsite: b\n", "not YAML"),
        ("", "holds no settings; it must begin with 'node:' and 'site:'"),
        ("- a\n- b\n", "holds no settings"),
        ("cameras:\n  a: {url: 'usb:0'}\n  a: {url: 'usb:1'}\n", "line 3: not YAML: 'a' stands there twice"),
        ("node: !python/object:os.system x\n", "not YAML"),
        ("node: \x07\n", "not YAML"),
    ],
)
def test_what_is_not_yaml_is_told_with_the_line(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; name another with -c"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "node.yaml").write_bytes(b"node: \xff\xfe")
    with pytest.raises(ConfigError, match="not a text file"):
        load_config(tmp_path / "node.yaml")


def test_relative_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    settings = changed("cameras.clip", {"url": "clips/fire.mp4"})
    settings["cameras"]["other"] = {"url": "file:///srv/a:b.mp4"}
    settings["sensors"]["log"] = {"url": "log.csv", "channels": [{"quantity": "co", "column": "CO"}]}
    settings |= {"models": "zoo", "trust": "trust", "storage": {"folder": "data"}}
    settings["uplink"]["password_file"] = "password"
    (tmp_path / "password").write_text("from the file\n")
    config = load(tmp_path, settings)
    assert config.cameras["clip"].url.get_secret_value() == str(tmp_path / "clips/fire.mp4")
    assert config.cameras["other"].url.get_secret_value() == "/srv/a:b.mp4"
    assert config.sensors["log"].url.get_secret_value() == str(tmp_path / "log.csv")
    assert (config.models, config.trust) == (tmp_path / "zoo", tmp_path / "trust")
    assert config.storage.folder == tmp_path / "data"
    assert config.uplink.secret() == "from the file"


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config = load(tmp_path, changed("uplink.password_file", "absent"))
    with pytest.raises(ConfigError, match=r"uplink\.password_file: .*absent cannot be read"):
        config.uplink.secret()


@pytest.mark.parametrize(
    ("url", "kind"),
    [("rtsps://h/1", "rtsp"), ("https://h/1.mjpg", "http"), ("usb:2", "usb"), ("/a.mp4", "file"), ("a:1/b", "file")],
)
def test_the_kind_of_a_camera_follows_from_its_url(url: str, kind: str) -> None:
    if url == "a:1/b":
        url = "/clips/" + url
    assert Camera(url=url).kind == kind  # type: ignore[arg-type]


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_password_survives_redaction(user: str, password: str) -> None:
    for mark in "/?#@[]":
        user, password = user.replace(mark, ""), password.replace(mark, "")
    secret = f"{user}:x{password}y"
    try:
        shown = redact(f"rtsp://{secret}@host:554/path")
    except ValueError:
        return  # not a URL at all; the settings refuse it
    assert secret not in shown
    assert shown.endswith("***@host:554/path")


def test_the_example_is_good_and_names_its_schema(tmp_path: Path) -> None:
    text = example_yaml()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=node.schema.json"
    (tmp_path / "password").write_text("x")
    load(tmp_path, text)
    jsonschema.validate(yaml.safe_load(text), schema())


def test_the_guides_example_is_good(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "node.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    jsonschema.validate(yaml.safe_load(text), schema())
    load(tmp_path, text)


def test_the_schema_tells_an_editor_what_the_loader_would() -> None:
    check = jsonschema.Draft202012Validator(schema())
    check.check_schema(schema())
    assert check.is_valid(GOOD)
    for place, value in [
        ("nod", 1),
        ("cameras.lobby.zones.door.pionts", 1),
        ("cameras.lobby.fps", 99),
        ("node", "A B"),
    ]:
        assert not check.is_valid(changed(place, value)), place


def test_the_schema_explains_the_keys() -> None:
    described = schema()["$defs"]["Camera"]["properties"]["detectors"]["description"]
    assert described == "Models of the zoo, by name."
    assert "``" not in json.dumps(schema())
