"""What the launcher and the warm process say to each other over a Unix socket.

The server speaks first: a greeting with its state. Only then does a client send its request, so one that went away before it
was greeted has asked for nothing, and nothing of its can be executed later.
"""

import hashlib
import json
import os
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any

PROTOCOL = 1
READY = "ready"

_PATIENCE_SECONDS = 0.2
_LENGTH = struct.Struct("!I")
_LONGEST_PATH = 100
"""The kernel takes 108 bytes; asyncio and others that look take less."""


def socket_path(home: Path) -> Path:
    """Where the warm process of a Dagster home listens; among temporary files when the home's own path is too long."""
    path = home / "warm.sock"
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tickhouse-warm-{os.getuid()}-{digest}.sock"


def is_greeting(home: Path) -> bool:
    """Whether the warm process of the home has come so far that it says how it is: it does once it is warm, or cannot be."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        try:
            connection.connect(str(socket_path(home)))
            return receive(connection)["protocol"] == PROTOCOL
        except (OSError, EOFError, ValueError, KeyError):
            return False


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send one message. Raises OSError."""
    body = json.dumps(message).encode()
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket) -> dict[str, Any]:
    """Receive one message. Raises EOFError when the other has gone, OSError, ValueError for what is none of ours."""
    (length,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
    message = json.loads(_read(connection, length))
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message


def _read(connection: socket.socket, length: int) -> bytes:
    body = b""
    while len(body) < length:
        piece = connection.recv(length - len(body))
        if not piece:
            raise EOFError("the other side has closed the connection")
        body += piece
    return body
