"""A webhook on loopback that takes what apprise sends to it, or fails as its script says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Webhook:
    """A receiver on loopback. `answers` are what the next messages get: a status, `late` or `hang up`; then 200."""

    answers: list[int | str] = field(default_factory=list)
    taken: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def references(self) -> list[str]:
        return [found for each in self.taken for found in re.findall(r"Reference: (\S+)", each["message"])]


@contextmanager
def listening() -> Iterator[Webhook]:
    """A webhook that takes what comes while the block runs."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = hook.answers.pop(0) if hook.answers else 200
            if answer == "late":
                hook.released.wait(30)
            elif answer != "hang up":
                self.send_response(int(answer))
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        hook.url = f"json://127.0.0.1:{server.server_port}/alerts"
        yield hook
        hook.released.set()
        server.shutdown()
        thread.join()
