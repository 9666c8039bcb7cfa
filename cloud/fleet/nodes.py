"""Enrolment: a node gets a name, a partition, a secret, and the roots of trust that it starts from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import bcrypt
import psycopg

from cloud.fleet.disk import write_file
from cloud.fleet.fleet import Fleet
from cloud.identity.nodes import hash_secret, new_secret
from cloud.servers.broker import BrokerUser
from contract.ids import PARTITIONS, check_id, digest
from contract.topics import Address

_ROUNDS: Final = 5
"""bcrypt's cost, log 2: a secret of 256 random bits cannot be guessed, whatever a guess costs."""


@dataclass(frozen=True)
class Enrolment:
    """A node that may connect. The secret is shown this once; the database keeps hashes."""

    site: str
    node: str
    partition: int
    secret: str = field(repr=False)

    @property
    def username(self) -> str:
        """For the broker and for HTTP Basic."""
        return f"{self.site}/{self.node}"

    def yaml(self, broker: str, cloud: str, password_file: str = "secret", trust: str = "trust") -> str:  # noqa: S107
        """The head of ``node.yaml``; the secret goes into ``password_file``, the trust roots into ``trust``.

        Args:
            broker: ``mqtt://host:port``, as the node reaches it.
            cloud: ``http(s)://host:port``, as the node reaches it.
        """
        return (
            f"node: {self.node}\nsite: {self.site}\npartition: {self.partition}\nuplink:\n  broker: {broker}\n"
            f"  cloud: {cloud}\n  username: {self.username}\n  password_file: {password_file}\ntrust: {trust}\n"
        )


def enrol(connection: psycopg.Connection[Any], site: str, node: str, secret: str | None = None) -> Enrolment:
    """Let a node in, or give one that is in already a new secret; its partition stays.

    Args:
        secret: the node's, where it has one; else a new one is made.

    Raises:
        ValueError: a name is no id.
    """
    check_id(site, "site")
    check_id(node, "node")
    secret = secret or new_secret()
    kept = bcrypt.hashpw(secret.encode(), bcrypt.gensalt(_ROUNDS)).decode()
    row = connection.execute(
        "INSERT INTO node (site, node, partition, secret_hash, broker_hash) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (site, node) DO UPDATE SET secret_hash = excluded.secret_hash, broker_hash = excluded.broker_hash "
        "RETURNING partition",
        (site, node, partition_of(site, node), hash_secret(secret), kept),
    ).fetchone()
    assert row is not None
    return Enrolment(site, node, row[0], secret)


def partition_of(site: str, node: str) -> int:
    """Deals nodes evenly into the partitions, the same node always into the same."""
    return int(digest(site, node)[:8], 16) % PARTITIONS


def broker_users(connection: psycopg.Connection[Any]) -> list[BrokerUser]:
    """Every enrolled node, as the embedded broker admits it: confined to its own topics."""
    rows = connection.execute(
        "SELECT site, node, partition, broker_hash FROM node WHERE broker_hash <> '' ORDER BY site, node"
    ).fetchall()
    return [BrokerUser(f"{site}/{node}", kept, Address(partition, site, node)) for site, node, partition, kept in rows]


def export_trust(fleet: Fleet, site: str, node: str, folder: Path) -> None:
    """Write the roots that a node starts from into ``folder``: ``releases.root.json`` and ``director.root.json``.

    Makes both repositories where there are none. Carry the folder to the box by a way you trust.
    """
    fleet.releases.create()
    fleet.director.create(site, node)
    for name, metadata in (("releases", fleet.releases.metadata), ("director", fleet.director.metadata(site, node))):
        write_file(folder / f"{name}.root.json", metadata.root_bytes())
