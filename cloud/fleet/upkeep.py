"""Keeps the repositories' signatures young: part of the API process."""

import asyncio
from typing import Final

import psycopg
import structlog

from cloud.api.context import Context
from cloud.fleet.fleet import Fleet
from cloud.fleet.keys import KeyMissingError
from cloud.fleet.metadata import DamagedError

log = structlog.get_logger()

EVERY_S: Final = 3600.0
RETRY_S: Final = 30.0


async def keep_signed(context: Context) -> None:
    """Refresh at the start and every hour, until cancelled; what goes wrong is logged and tried again."""
    fleet = Fleet.of(context.settings, context.clock)
    while True:
        done = await asyncio.to_thread(_refresh, context, fleet)
        await asyncio.sleep(EVERY_S if done else RETRY_S)


def _refresh(context: Context, fleet: Fleet) -> bool:
    try:
        with context.pool.connection() as connection:
            fleet.refresh(connection)
    except (psycopg.Error, OSError, KeyMissingError, DamagedError) as error:
        log.warning("signatures not renewed", error=str(error).strip())
        return False
    return True
