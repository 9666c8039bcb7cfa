"""The JSON schema of ``node.yaml``, for editors, and an example that names it in its first line."""

from typing import Any, Final

from edge.config import NodeConfig

FILE_NAME: Final = "node.schema.json"
"""Written beside ``node.yaml`` by ``vedette node schema > node.schema.json``."""


def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    found = NodeConfig.model_json_schema() | {"title": "node.yaml of a Vedette node"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | {k: _plain(v) for k, v in found.items()}


def first_line(schema_file: str = FILE_NAME) -> str:
    """The comment by which editors find the schema."""
    return f"# yaml-language-server: $schema={schema_file}\n"


def example_yaml(schema_file: str = FILE_NAME) -> str:
    """A ``node.yaml`` to begin with: one camera, one gas sensor."""
    return first_line(schema_file) + _EXAMPLE


def _plain(value: Any) -> Any:
    """Descriptions as editors show them: one backtick, not two."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.replace("``", "`") if isinstance(value, str) else value


_EXAMPLE: Final = """\
node: gate-box
site: harbour

uplink:
  broker: mqtts://warnings.example.org:8883
  cloud: https://warnings.example.org
  username: harbour/gate-box
  password_file: password        # relative paths count from this file's folder

storage:
  folder: /var/lib/vedette

cameras:
  gate:
    url: rtsp://viewer:secret@192.0.2.10/stream2
    title: North gate
    detectors: [fire, person]
    zones:
      pavement:
        points: [[0.1, 0.5], [0.9, 0.5], [0.9, 1.0], [0.1, 1.0]]
        crowd_limit: 20

sensors:
  boiler-room:
    url: modbus://192.0.2.20:502/1
    title: Boiler room
    every_s: 2
    channels:
      - quantity: co
        unit: "[ppm]"
        register: 0              # base 0: a map that counts from 1 is one too high
        range: [0, 500]
        # Set points are this site's own: those of the safety plan, not these.
        alarm: {low: 30, high: 60}
"""
