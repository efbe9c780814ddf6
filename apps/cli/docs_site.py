"""A web server for one page: the documentation of the dbt models."""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import structlog

from apps.cli.ending import interrupt_on_signals
from apps.cli.readiness import url
from tickhouse.settings import Settings

log = structlog.get_logger(__name__)


def serve_docs(settings: Settings) -> None:
    """Serve the page at `docs.host` and `docs.port` until interrupted; without one, write one that needs no warehouse."""
    server = docs_server(ensure_docs(settings), settings.docs.host, settings.docs.port)
    log.info("dbt docs are served", url=url(settings.docs.host, settings.docs.port))
    with interrupt_on_signals(), server:
        server.serve_forever()


def ensure_docs(settings: Settings) -> Path:
    """The page, written when it is missing or older than the project; it names no types or sizes until `docs build` does."""
    from transform.dbt import ensure_manifest, generate_docs
    from transform.warehouse import build_lock

    page = settings.dbt_target_path / "static_index.html"
    if page.is_file() and page.stat().st_mtime >= ensure_manifest(settings).stat().st_mtime:
        return page
    with build_lock(settings):
        return generate_docs(settings, with_catalog=False)


def docs_server(page: Path, host: str, port: int) -> ThreadingHTTPServer:
    """A server that listens and gives `page`, as it is at each request, at `/`. Raises OSError when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.split("?")[0] not in ("/", "/index.html"):
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            body = page.read_bytes()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug("request", line=format % args)

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        advice = "Set docs.port (TICKHOUSE_DOCS__PORT) to a free one"
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}. {advice}") from None
