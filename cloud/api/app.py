"""The API as an application: what it is made of, read from top to bottom."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI

from cloud.api import evidence, exports, page, records, status, stream, uploads, warnings
from cloud.api.context import Clock, Context, make_pool
from cloud.api.errors import add_handlers
from cloud.api.guard import Guard, is_loopback
from cloud.api.live import Live
from cloud.api.meters import Meters
from cloud.api.pulse import keep_pulse
from cloud.evidence.store import DiskStore
from cloud.fleet import api as fleet
from cloud.fleet.upkeep import keep_signed
from cloud.identity.nodes import Verifier
from cloud.settings import CloudSettings


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def create_app(settings: CloudSettings, clock: Clock = wall_clock) -> FastAPI:
    """The application of one API process; it connects when it starts and lets go when it ends."""
    meters = Meters()
    context = Context(
        settings=settings,
        pool=make_pool(settings),
        evidence=DiskStore(settings.evidence),
        verifier=Verifier(),
        live=Live(settings, meters),
        meters=meters,
        clock=clock,
    )

    @contextlib.asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        context.pool.open()
        tasks = [
            asyncio.create_task(context.live.run(), name="live feed"),
            asyncio.create_task(keep_signed(context), name="signatures"),
            asyncio.create_task(keep_pulse(context), name="heartbeat"),
            asyncio.create_task(uploads.forget_files(context), name="files to forget"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            context.pool.close()

    app = FastAPI(title="Vedette", openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None, lifespan=running)
    app.state.context = context
    app.add_middleware(Guard, loopback=is_loopback(settings.listen.rsplit(":", 1)[0]))
    add_handlers(app)
    for router in (
        warnings.router,
        records.router,
        exports.router,
        evidence.router,
        uploads.router,
        status.router,
        stream.router,
        fleet.router,
    ):
        app.include_router(router)
    page.add_page(app, settings.console)
    return app
