"""The contract as an AsyncAPI 3.0 document, for whoever writes a node or a cloud of his own."""

import json
from typing import Any, Final

import msgspec

from contract.messages import SCHEMA, Ack, Batch, Command, Hello, NodeState, Reply, Welcome
from contract.records import Event, Record
from contract.topics import ROOT, Channel
from contract.wire import MAX_UNPACKED, MAX_WIRE

_PARAMETERS: Final = {
    "partition": {"description": "0 to 255; assigned to the node when it is enrolled."},
    "site": {"description": "The place; 1 to 32 characters out of a-z, 0-9 and '-'."},
    "node": {"description": "The box; 1 to 32 characters out of a-z, 0-9 and '-'."},
}
_MESSAGES: Final = {
    Channel.UP: (Hello, Batch),
    Channel.ACK: (Welcome, Ack),
    Channel.CMD: (Command,),
    Channel.REPLY: (Reply,),
    Channel.STATE: (NodeState,),
}
_ABOUT: Final = {
    Channel.UP: "From the node. QoS 0: what counts is the acknowledgement from the database.",
    Channel.ACK: "From the cloud, once the database holds what is acknowledged. QoS 0.",
    Channel.CMD: "From the cloud. QoS 1.",
    Channel.REPLY: "From the node, one for each command. QoS 1.",
    Channel.STATE: "From the node, retained. QoS 1; the last will says online = false.",
}


def document() -> dict[str, Any]:
    """The whole document, as plain data. The schemas are drawn from the types themselves."""
    types = [*(kind for kinds in _MESSAGES.values() for kind in kinds), Record]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = {**schemas, "AnyRecord": {"anyOf": [{"$ref": f"#/components/schemas/{n}"} for n in _record_names()]}}
    schemas["Batch"]["properties"]["records"]["items"] = {"$ref": "#/components/schemas/AnyRecord"}
    return _plain(
        {
            "asyncapi": "3.0.0",
            "info": {
                "title": "Vedette",
                "version": str(SCHEMA),
                "license": {"name": "Apache-2.0"},
                "description": (
                    "What a node and the cloud say to each other over MQTT 3.1.1. A payload is MessagePack with string "
                    f"keys, in a zstd frame where that is smaller: at most {MAX_WIRE} bytes, {MAX_UNPACKED} unpacked. "
                    "Times are microseconds since 1970-01-01 UTC. Fields are only added; skip those you do not know."
                ),
            },
            "defaultContentType": "application/msgpack",
            "channels": {str(channel): _channel(channel) for channel in Channel} | {"events": _events_channel()},
            "operations": {
                str(channel): {
                    "action": "send" if channel in (Channel.UP, Channel.REPLY, Channel.STATE) else "receive",
                    "channel": {"$ref": f"#/channels/{channel}"},
                    "summary": f"Seen from the node. {_ABOUT[channel]}",
                }
                for channel in Channel
            }
            | {"events": {"action": "send", "channel": {"$ref": "#/channels/events"}}},
            "components": {
                "messages": {kind.__name__: _message(kind) for kinds in _MESSAGES.values() for kind in kinds}
                | {"EventJson": {"contentType": "application/json", "payload": {"$ref": "#/components/schemas/Event"}}},
                "schemas": dict(sorted(schemas.items())),
            },
        }
    )


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """The same with lists for tuples, as YAML and JSON read it back."""
    return json.loads(json.dumps(value))  # type: ignore[no-any-return]


def _record_names() -> list[str]:
    return [kind.__name__ for kind in Record.__args__]


def _message(kind: type) -> dict[str, Any]:
    summary = (kind.__doc__ or "").strip().split("\n\n")[0]
    return {"summary": " ".join(summary.split()), "payload": {"$ref": f"#/components/schemas/{kind.__name__}"}}


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": f"{ROOT}/{{partition}}/{{site}}/{{node}}/{channel}",
        "description": _ABOUT[channel],
        "parameters": _PARAMETERS,
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in _MESSAGES[channel]},
    }


def _events_channel() -> dict[str, Any]:
    return {
        "address": f"{ROOT}/events/{{site}}/{{node}}/{{kind}}",
        "description": (
            f"Where publish_json is on: each {Event.__name__.lower()} as JSON, for Home Assistant, Node-RED, a SCADA."
        ),
        "parameters": {name: _PARAMETERS[name] for name in ("site", "node")}
        | {"kind": {"description": "fire, gas, …"}},
        "messages": {"EventJson": {"$ref": "#/components/messages/EventJson"}},
    }
