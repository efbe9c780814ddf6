"""The API: its assembly, and its server."""

from __future__ import annotations

from importlib.metadata import version

import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from apps.api.errors import handle_errors
from apps.api.routers import bars, indicators, quality, service, symbols
from tickhouse.logging import configure_logging
from tickhouse.settings import Settings
from tickhouse.storage import open_storage
from transform.snapshot.read import SnapshotReader

_DESCRIPTION = """
Bars, indicators and alerts of the newest published snapshot.

Every answer is read from one snapshot and names it, in its body and in the headers `X-Tickhouse-Snapshot` and
`X-Tickhouse-Published-At`. Times are UTC. Prices "on the price basis" are adjusted for splits and dividends where the
feed carries adjusted closes, else as traded. Before the first publication lists are empty and values null.
"""


def create_app(settings: Settings) -> FastAPI:
    """The API over the lake that `settings.storage` names; nothing is read before the first request."""
    app = FastAPIOffline(title="tickhouse", version=version("tickhouse"), description=_DESCRIPTION, redoc_url=None)
    app.state.reader = SnapshotReader(open_storage(settings), settings.cache_path)
    for part in (service, bars, symbols, indicators, quality):
        app.include_router(part.router)
    handle_errors(app)
    return app


def run_api(settings: Settings) -> None:
    """Serve on `settings.api` until SIGTERM or SIGINT. Exits with an error when the port is taken."""
    configure_logging(settings)
    uvicorn.run(
        create_app(settings),
        host=settings.api.host,
        port=settings.api.port,
        log_config=None,
        access_log=settings.logging.level == "DEBUG",
        timeout_graceful_shutdown=5,
    )
