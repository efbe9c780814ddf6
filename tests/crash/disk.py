"""A small disk that can be filled: a tmpfs in a mount namespace of its own, seen through /proc."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

_MOUNT = 'mount -t tmpfs -o size="$1" tickhouse-crash-test "$2" && echo mounted && read _'
_FILLER = "filler"


class NoDiskError(RuntimeError):
    """This machine lets nobody mount a small disk here."""


class SmallDisk:
    """A disk of `size` bytes, mounted on `folder` for one process that does nothing else; others reach it at `path`.

    It vanishes when the block is left or this process ends. Raises NoDiskError where mounting is not allowed.
    """

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir(parents=True)
        unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
        self._keeper = subprocess.Popen(
            [*unshare, "sh", "-c", _MOUNT, "sh", str(size), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._keeper.stdout is not None
        answer = self._keeper.stdout.readline().decode().strip()
        if answer != "mounted":
            self._keeper.communicate()
            raise NoDiskError(
                f"cannot mount a small disk to fill ({answer or 'no answer'}): run as root, or where unprivileged user "
                "namespaces are allowed, or in a container with --cap-add SYS_ADMIN"
            )
        self.path = Path(f"/proc/{self._keeper.pid}/root") / folder.relative_to("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._keeper.communicate()  # its standard input ends, and it with that

    def fill(self, spare: int) -> None:
        """Take all of the disk but `spare` bytes or a little less, if others leave as much."""
        state = os.statvfs(self.path)
        with suppress(OSError), (self.path / _FILLER).open("ab") as file:
            file.write(bytes(max(state.f_bavail * state.f_frsize - spare, 0)))

    def clear(self) -> None:
        """Give back what was taken."""
        (self.path / _FILLER).unlink()
