"""Whether a port is free, a server answers, a page is there: questions that are asked again and again."""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException

from tickhouse.address import is_listening, reachable, url

__all__ = ["is_answering", "is_free", "is_listening", "url"]

_SECONDS = 2.0


def is_answering(host: str, port: int, path: str) -> bool:
    """Whether a GET of `path` there is answered with 200."""
    connection = HTTPConnection(reachable(host), port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def is_free(host: str, port: int) -> bool:
    """Whether this process could listen there; a port that another one has is not free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: one that was left a moment ago is free
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
