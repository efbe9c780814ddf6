"""What a request is told when there is no answer: which of its parts was wrong, and what to do."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from apps.api.models import Error, Problem
from transform.snapshot.read import SnapshotGoneError, SnapshotUnavailableError, UnknownSnapshotError

_log = structlog.get_logger(__name__)


class UnknownSymbolError(LookupError):
    """No bar of the symbol has been published; the message says where to look."""


def handle_errors(app: FastAPI) -> None:
    """Answer every error with `Error`, and the status that fits it."""
    app.add_exception_handler(UnknownSymbolError, _unknown_symbol)
    app.add_exception_handler(UnknownSnapshotError, _unknown_snapshot)
    app.add_exception_handler(SnapshotGoneError, _snapshot_gone)
    app.add_exception_handler(RequestValidationError, _bad_parameter)
    app.add_exception_handler(SnapshotUnavailableError, _unavailable)
    app.add_exception_handler(HTTPException, _no_such_thing)
    app.add_exception_handler(Exception, _internal)


def errors_of() -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the errors an endpoint may answer with."""
    return {status: {"model": Error} for status in (404, 410, 422, 503)}


def _unknown_symbol(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, 404, Error(error="unknown_symbol", message=str(error)))


def _unknown_snapshot(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, 404, Error(error="unknown_snapshot", message=str(error)))


def _snapshot_gone(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, 410, Error(error="snapshot_gone", message=str(error)))


def _bad_parameter(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = list(dict.fromkeys(map(_problem, error.errors())))  # `as_of` is looked at twice: for the snapshot, for the answer
    named = "; ".join(f"{problem.parameter}: {problem.message}" for problem in problems)
    return _answer(
        request, 422, Error(error="bad_parameter", message=f"{named}. /docs lists every parameter.", problems=problems)
    )


def _problem(found: dict[str, Any]) -> Problem:
    where = str(found["loc"][1])
    if found["type"] == "extra_forbidden":
        return Problem(parameter=where, message="no such parameter here")
    return Problem(parameter=where, message=found["msg"].removeprefix("Value error, "))


def _unavailable(request: Request, error: Exception) -> JSONResponse:
    _log.error("lake out of reach", path=request.url.path, error=str(error))
    message = f"{error}. Check the storage settings and that this process may read the lake, then ask again."
    return _answer(request, 503, Error(error="unavailable", message=message), {"Retry-After": "5"})


def _no_such_thing(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        refused = Error(error="method_not_allowed", message=f"{request.method} is not served here: use GET.")
    else:
        refused = Error(error="not_found", message=f"nothing is served at {request.url.path}: GET / lists what is.")
    return _answer(request, error.status_code, refused, dict(error.headers or {}))


def _internal(request: Request, error: Exception) -> JSONResponse:
    message = "a fault of this service, not of the request: its log has the traceback."
    return _answer(request, 500, Error(error="internal", message=message))


def _answer(request: Request, status: int, error: Error, headers: dict[str, str] | None = None) -> JSONResponse:
    pinned = getattr(request.state, "headers", {})
    return JSONResponse(jsonable_encoder(error), status_code=status, headers={**pinned, **(headers or {})})
