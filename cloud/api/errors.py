"""Errors as JSON: ``{"detail": "…"}``, one line that names the thing and the way out."""

from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

from cloud.warnings.actions import ConflictError, UnknownWarningError

log = structlog.get_logger(__name__)


def add_handlers(app: FastAPI) -> None:
    """Let every error of ``app`` be answered with its text."""
    app.add_exception_handler(UnknownWarningError, _answering(404))
    app.add_exception_handler(ConflictError, _answering(409))
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(psycopg.DataError, _unholdable)
    for lost in (PoolTimeout, psycopg.OperationalError):
        app.add_exception_handler(lost, _lost)


def _answering(status: int) -> Callable[[Request, Exception], JSONResponse]:
    def answer(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status)

    return answer


def _unfit(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(item) for item in error.errors()]
    return JSONResponse({"detail": "; ".join(faults)}, 422)


def _fault(item: dict[str, Any]) -> str:
    place = ".".join(str(step) for step in item["loc"])
    return f"{place}: {item['msg'].removeprefix('Value error, ')}"


def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404 and detail == "Not Found":
        detail = f"there is nothing at {request.url.path}; /api/v1/openapi.json lists what there is"
    elif error.status_code == 405:
        detail = f"{request.method} is not possible at {request.url.path}; /api/v1/openapi.json lists what is"
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


def _unholdable(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": f"a value that the database cannot hold: {_first_line(error)}; send another"}, 422)


def _lost(request: Request, error: Exception) -> JSONResponse:
    log.warning("database does not answer", path=request.url.path, error=_first_line(error))
    detail = "the database does not answer in time; try again in a moment"
    return JSONResponse({"detail": detail}, 503, {"Retry-After": "2"})


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
