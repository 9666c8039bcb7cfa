"""``vedette tap``: what passes on the broker, decoded."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from vedette.commands.options import HOME, Data, Json


class TapError(RuntimeError):
    """The broker cannot be listened to; the text says why."""


def tap(
    topic: Annotated[str, typer.Argument(help="MQTT filter; everything of Vedette's when left out.")] = "vedette/v1/#",
    broker: Annotated[str | None, typer.Option(help="mqtt://host:port; that of 'vedette up' when left out.")] = None,
    username: Annotated[str | None, typer.Option(help="With --broker.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="With --broker: file that holds the password.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="With --broker: certificates to trust, in PEM.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so long.")] = None,
    json: Json = False,
    data_dir: Data = HOME,
) -> None:
    """Print what passes on the broker, decoded: batches with their records, acknowledgements, commands."""
    import json as codec

    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    url, user, password, trusted = _broker(broker, username, password_file, ca_file, data_dir)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
    client.username_pw_set(user, password)
    if url.scheme == "mqtts":
        try:
            client.tls_set(ca_certs=None if trusted is None else str(trusted))
        except (OSError, ValueError) as error:
            raise TapError(f"{trusted} cannot be used: {error}; name a PEM file with --ca-file") from error
    refused: list[str] = []

    def on_connect(_c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            refused.append(str(reason))
        client.subscribe(topic)

    def on_message(_c: Any, _u: Any, message: mqtt.MQTTMessage) -> None:
        decoded = decode(message.topic, bytes(message.payload))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        if json:
            typer.echo(codec.dumps({"time": now, "topic": message.topic, "message": decoded}, ensure_ascii=False))
        else:
            typer.echo(f"{now[11:23]} {message.topic} {len(message.payload)} B")
            typer.echo(f"    {codec.dumps(decoded, ensure_ascii=False)}")

    client.on_connect, client.on_message = on_connect, on_message
    try:
        client.connect(url.hostname or "127.0.0.1", url.port or (8883 if url.scheme == "mqtts" else 1883))
    except OSError as error:
        raise TapError(f"{url.geturl()} cannot be reached: {error}; name the broker with --broker") from error
    until = None if seconds is None else time.monotonic() + seconds
    try:
        while not refused and (until is None or time.monotonic() < until):
            client.loop(0.2)
    finally:
        client.disconnect()
    if refused:
        raise TapError(f"{url.geturl()} refuses user {user!r}: {refused[0]}; check --username and --password-file")


def decode(topic: str, payload: bytes) -> Any:
    """A payload as plain data: what its topic promises, or else what is wrong with it."""
    import msgspec

    from contract import wire
    from contract.messages import Batch
    from contract.topics import Channel, parse

    decoders = {
        Channel.UP: wire.decode_up,
        Channel.ACK: wire.decode_down,
        Channel.CMD: wire.decode_command,
        Channel.REPLY: wire.decode_reply,
        Channel.STATE: wire.decode_state,
    }
    try:
        _, channel = parse(topic)
    except ValueError:
        try:
            return msgspec.json.decode(payload)
        except msgspec.DecodeError:
            return {"bytes": payload[:64].hex()}
    try:
        message = decoders[channel](payload)
    except wire.WireError as error:
        return {"error": str(error)}
    if not isinstance(message, Batch):
        return msgspec.to_builtins(message)
    records = [msgspec.msgpack.decode(raw) for raw in message.records]
    return msgspec.to_builtins(msgspec.structs.replace(message, records=())) | {"records": records}


def _broker(
    named: str | None, username: str | None, password_file: Path | None, ca_file: Path | None, data: Path
) -> tuple[Any, str, str, Path | None]:
    """Where to listen, as whom, and whose certificates to trust."""
    if named is not None:
        try:
            password = password_file.read_text().strip() if password_file else ""
        except OSError as error:
            raise TapError(f"{password_file} cannot be read: {error.strerror}; name another --password-file") from error
        return urlsplit(named), username or "", password, ca_file
    from vedette.up.home import Home

    settings = Home(data).settings()
    password = settings.broker_password.get_secret_value()
    return urlsplit(settings.broker), settings.broker_username, password, settings.broker_ca
