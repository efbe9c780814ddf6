"""A web server for two things: the page that documents the dbt models, and Great Expectations' Data Docs below `/validation/`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import structlog

from apps.cli.ending import interrupt_on_signals
from apps.cli.readiness import url
from tickhouse.settings import Settings

log = structlog.get_logger(__name__)

_REFRESH_SECONDS = 60.0
_BELOW = "/validation/"
_POLICY = "img-src 'self' data:"  # its pages would fetch a logo from their maker, with an id of the site
_NOT_YET = b"""<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Data Docs</title>
<p>Great Expectations' Data Docs are being built: this page shows them as soon as they are there. A long history takes minutes;
the log of this server says how it went."""


def serve_docs(settings: Settings) -> None:
    """Serve both at `docs.host` and `docs.port` until interrupted; a missing page is written first, without a warehouse."""
    data_docs = DataDocsSite(settings)
    server = docs_server(ensure_docs(settings), settings.docs.host, settings.docs.port, data_docs.opened)
    log.info("docs are served", url=url(settings.docs.host, settings.docs.port))
    with interrupt_on_signals(), server:
        server.serve_forever()


def ensure_docs(settings: Settings) -> Path:
    """The page, written when it is missing or older than the project; it names no types or sizes until `docs build` does."""
    from transform.build_lock import build_lock
    from transform.dbt import generate_docs
    from transform.parsed_project import ensure_manifest

    page = settings.dbt_target_path / "static_index.html"
    if page.is_file() and page.stat().st_mtime >= ensure_manifest(settings).stat().st_mtime:
        return page
    with build_lock(settings):
        return generate_docs(settings, with_catalog=False)


class DataDocsSite:
    """Data Docs are built when somebody opens them, in the background, and once a minute at most."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._one_at_a_time = threading.Lock()
        self._built_at = float("-inf")

    def opened(self) -> Path:
        """The site's folder, which may not be there yet; what is new is on its way."""
        from transform.validation.data_docs import site_folder

        is_old = time.monotonic() - self._built_at > _REFRESH_SECONDS
        if is_old and self._one_at_a_time.acquire(blocking=False):
            threading.Thread(target=self._build, daemon=True, name="data-docs").start()
        return site_folder(self._settings)

    def _build(self) -> None:
        from tickhouse.storage import open_storage
        from transform.validation.data_docs import build_data_docs

        try:
            came_to = build_data_docs(self._settings, open_storage(self._settings))
            log.info("Data Docs are built", added=came_to.added, removed=came_to.removed, left_out=came_to.left_out)
        except Exception:  # whatever it was, the site of before and the dbt docs go on being served; the next visit tries again
            log.exception("Data Docs could not be built")
        finally:
            self._built_at = time.monotonic()
            self._one_at_a_time.release()


def docs_server(page: Path, host: str, port: int, data_docs: Callable[[], Path]) -> ThreadingHTTPServer:
    """A server that listens: at `/` it gives `page` as it is at each request, below `/validation/` the folder `data_docs` tells.

    Raises OSError when the port is taken.
    """
    try:
        return _Server((host, port), partial(_Handler, page, data_docs))
    except OSError as error:
        advice = "Set docs.port (TICKHOUSE_DOCS__PORT) to a free one"
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}. {advice}") from None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A visitor who goes away before the page is through is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            log.exception("a request failed", client=client_address)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, page: Path, data_docs: Callable[[], Path], *args: Any) -> None:
        self._page, self._data_docs, self._is_below = page, data_docs, False
        super().__init__(*args)

    def do_GET(self) -> None:
        asked = self.path.split("?")[0]
        self._is_below = asked.startswith(_BELOW)
        if asked in ("/", "/index.html"):
            self._answer(self._page.read_bytes())
        elif asked == _BELOW.rstrip("/"):
            self.send_response(HTTPStatus.MOVED_PERMANENTLY)
            self.send_header("Location", _BELOW)
            self.end_headers()
        elif self._is_below:
            self._answer_data_docs(asked.removeprefix(_BELOW))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        """The one inherited would tell of any file in the working folder."""
        self.send_error(HTTPStatus.NOT_IMPLEMENTED)

    def _answer_data_docs(self, asked: str) -> None:
        from transform.validation.data_docs import FIRST_PAGE

        folder = self._data_docs()
        if not asked and not (folder / FIRST_PAGE).is_file():
            self._answer(_NOT_YET)
            return
        self.directory, self.path = str(folder), f"/{asked or FIRST_PAGE}"
        super().do_GET()

    def _answer(self, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def list_directory(self, path: object) -> None:
        """Of a folder without a page nothing is shown."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        if self._is_below:
            self.send_header("Content-Security-Policy", _POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        log.debug("request", line=format % args)
