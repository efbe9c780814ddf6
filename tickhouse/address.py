"""An address that a server listens on, as a client of the same machine reaches it."""

from __future__ import annotations

import socket

_SECONDS = 2.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def reachable(host: str) -> str:
    """The host to connect to where a server listens on `host`, which may be every address of the machine."""
    return _ANY_ADDRESS.get(host, host)


def is_listening(host: str, port: int) -> bool:
    """Whether a server accepts connections there."""
    try:
        with socket.create_connection((reachable(host), port), timeout=_SECONDS):
            return True
    except OSError:
        return False


def url(host: str, port: int) -> str:
    """The address to open in a browser of this machine."""
    host = reachable(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
