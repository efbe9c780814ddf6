"""What a disk's errors mean for who stores on it: which may pass, and which somebody must see to."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from tickhouse.storage.base import StorageRefusedError, StorageUnavailableError

_PASSING = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EBUSY, errno.EINTR),
    *(errno.ENOENT, errno.ESTALE),  # a folder that was taken away meanwhile is made again by the next try
    *(errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN),
}


@contextmanager
def disk_errors_explained(uri: str) -> Iterator[None]:
    """Within the block an OSError becomes StorageUnavailableError or StorageRefusedError, about the object at `uri`."""
    try:
        yield
    except StorageUnavailableError:
        raise
    except OSError as error:
        kind = StorageUnavailableError if error.errno in _PASSING else StorageRefusedError
        raise kind(f"{uri}: {error}") from error
