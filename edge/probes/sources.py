"""Cameras and sensors: one picture of each, one reading of each channel."""

import time

from pydantic import SecretStr

from contract.records import Quality
from edge.config import NodeConfig, Sensor, redact
from edge.probes.finding import Finding, Probe
from edge.sources.camera import Picture
from edge.sources.fault import CameraError
from edge.sources.modbus import ModbusBus, address_of
from edge.sources.opening import open_camera
from edge.sources.replay import load_rows, step_s
from edge.sources.sensor import SensorError, judge


def camera_probes(config: NodeConfig) -> list[Probe]:
    """A probe for each camera."""
    return [
        Probe("camera", name, lambda name=name: try_camera(config, name), 4 * camera.timeout_s + 10)  # type: ignore[misc]
        for name, camera in config.cameras.items()
    ]


def sensor_probes(config: NodeConfig) -> list[Probe]:
    """A probe for each sensor."""
    return [
        Probe("sensor", name, lambda name=name: try_sensor(config, name), 3 * sensor.timeout_s + 10)  # type: ignore[misc]
        for name, sensor in config.sensors.items()
    ]


def try_camera(config: NodeConfig, name: str) -> Finding:
    """Open the camera and decode one picture."""
    camera = config.cameras[name]
    began = time.monotonic()
    try:
        # A recording is read as fast as it goes: nothing waits, and nobody says stop.
        stream = open_camera(name, camera, lambda seconds: False)
    except CameraError as error:
        return _bad("camera", name, camera.url, error)
    try:
        for item in stream:
            if isinstance(item, Picture):
                took = time.monotonic() - began
                info = stream.info
                rate = f", {info.fps:.4g} frames a second" if info.fps else ""
                clips = f"; no clips: {stream.no_clip}" if stream.form is None else ""
                detail = f"{info.codec} {info.width}x{info.height}{rate}; first picture after {took:.1f} s{clips}"
                return Finding("camera", name, ok=True, detail=detail)
            if time.monotonic() - began > 3 * camera.timeout_s:
                break
    except CameraError as error:
        return _bad("camera", name, camera.url, error)
    finally:
        stream.close()
    way_out = f"look at the stream with another player (cameras.{name}.url)"
    return Finding("camera", name, ok=False, detail="opens, but sends no picture that can be decoded", way_out=way_out)


def try_sensor(config: NodeConfig, name: str) -> Finding:
    """Read every channel once."""
    sensor = config.sensors[name]
    try:
        values, about = _read_bus(name, sensor) if sensor.kind == "modbus" else _read_file(name, sensor)
    except SensorError as error:
        return _bad("sensor", name, sensor.url, error)
    said, bad = [], []
    for channel in sensor.channels:
        value = values[channel.quantity]
        quality = judge(channel, value) if value is not None else Quality.BAD
        shown = "cannot be read" if value is None else f"{value:.6g} {channel.unit}".strip()
        said.append(
            f"{channel.quantity} {shown}" + ("" if quality is Quality.GOOD or value is None else " (out of range)")
        )
        if quality is Quality.BAD:
            bad.append(channel.quantity)
    way_out = f"check register, type, scale and range of {', '.join(bad)} (sensors.{name}.channels)" if bad else ""
    return Finding("sensor", name, ok=not bad, detail=", ".join(said) + about, way_out=way_out)


def _bad(kind: str, name: str, url: SecretStr, error: CameraError | SensorError) -> Finding:
    detail = f"{redact(url.get_secret_value())} {error.what}"
    return Finding(kind, name, ok=False, detail=detail, way_out=error.way_out)


def _read_bus(name: str, sensor: Sensor) -> tuple[dict[str, float | None], str]:
    host, port, _ = address_of(sensor)
    bus = ModbusBus(host, port)
    try:
        return bus.read(name, sensor), ""
    finally:
        bus.close()


def _read_file(name: str, sensor: Sensor) -> tuple[dict[str, float | None], str]:
    """The first value of each channel, wherever it stands."""
    rows = load_rows(name, sensor)
    values = {
        channel.quantity: next((v for row in rows if (v := row.values[channel.quantity]) is not None), None)
        for channel in sensor.channels
    }
    return values, f" at first; {len(rows)} rows, {step_s(rows):g} s apart"
