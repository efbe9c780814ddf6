"""Files that no walk reaches, laid into the lake between its slots, and a watch on whether anybody opens one."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
from pathlib import Path
from typing import Self

from ingestion.chain.slot import DEAD_LETTER, slot_name
from ingestion.chain.walk import Slot
from tickhouse.storage.base import TEMPORARY

_IN_OPEN = 0x20
_LIBC = ctypes.CDLL(None, use_errno=True)


class Litter:
    """What is laid is watched by the kernel (inotify): a file that is opened, by whichever process, is known."""

    def __init__(self) -> None:
        self._laid: dict[int, Path] = {}
        self._watch = _LIBC.inotify_init1(os.O_NONBLOCK)
        assert self._watch >= 0, os.strerror(ctypes.get_errno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._watch)

    def scatter(self, lake: Path, slot: Slot) -> None:
        """Lay copies of the slot, and rubbish, where the walk will not come: within what the slot covers and far beyond."""
        places = [slot.footer.position + 10**12, slot.footer.position + 2 * 10**12]
        if slot.footer.next_offset > slot.footer.position + 1:
            places.append(slot.footer.position + 1)
        folder = lake / slot.key.rpartition("/")[0]
        for place in places:
            self._lay(folder / f"{slot_name(place)}.parquet", lake / slot.key)
        self._lay(folder / f"{TEMPORARY}left-at-{slot.footer.position}", lake / slot.key)
        if slot.footer.dead_letter_key is not None:
            own = f"{DEAD_LETTER}/{slot.chain.path}/{slot_name(slot.footer.position)}-nobody-names-it.parquet"
            self._lay(lake / own, lake / slot.footer.dead_letter_key)

    def assert_never_opened(self) -> None:
        try:
            seen = os.read(self._watch, 65536)
        except BlockingIOError:
            return
        opened = [
            path for number, mask, _, _ in struct.iter_unpack("iIII", seen) if mask & _IN_OPEN for path in [self._laid[number]]
        ]
        assert not opened, f"somebody opened what no walk reaches: {opened}"

    def _lay(self, path: Path, contents: Path) -> None:
        if path in self._laid.values():
            return
        try:
            shutil.copyfile(contents, path)
            number = _LIBC.inotify_add_watch(self._watch, os.fsencode(path), _IN_OPEN)
        except FileNotFoundError:
            return  # the slot was compacted meanwhile
        if number >= 0:
            self._laid[number] = path
        elif path.exists():  # else a compactor took it away at once
            raise OSError(ctypes.get_errno(), "cannot watch", str(path))
