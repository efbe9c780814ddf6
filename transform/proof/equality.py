"""Whether two values are the same, numbers to the bit."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any


def is_same(one: Any, other: Any) -> bool:
    """Floats by their bits, so that a zero is not a negative one and a NaN is itself; all else by `==`."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    return bool(one == other)


def differences(expected: Mapping[str, Any], found: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The columns in which two rows differ, each with both values."""
    return [f"{name} is {found[name]} and not {expected[name]}" for name in names if not is_same(expected[name], found[name])]
