"""What ``vedette up`` is made of, in the order in which it starts; reads top to bottom."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from cloud.fleet.nodes import Enrolment, broker_users, enrol, export_trust
from cloud.ingest.worker import answers as ingest_answers
from cloud.servers.broker import BrokerUser, EmbeddedBroker
from cloud.servers.postgres import EmbeddedPostgres
from cloud.servers.server import PortTakenError, Server, check_port_free
from cloud.settings import CloudSettings
from cloud.store.connection import connect
from cloud.store.schema import migrate
from vedette.demo import site as demo
from vedette.demo.data import data_folder
from vedette.demo.gas import load_curve
from vedette.page import CONSOLE
from vedette.up.home import Home
from vedette.up.keeper import Keeper, Kept
from vedette.up.part import Program

HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class Options:
    """What the visitor asks for."""

    home: Home
    listen: str
    mqtt_port: int
    modbus_port: int
    database: str | None
    demonstration: bool
    cameras: tuple[str, ...]
