"""Which column of a file is which field of a bar: shapes that are recognised, and mappings that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

REQUIRED = ("symbol", "ts", "open", "high", "low", "close", "volume")
OPTIONAL = ("adj_close", "interval", "source")
MAPPABLE = (*REQUIRED, *OPTIONAL)

_PRICES = ("open", "high", "low", "close", "volume")
_CAPITALS = {"ts": "Date", **{field: field.capitalize() for field in _PRICES}, "adj_close": "Adj Close"}
SHAPES: dict[str, dict[str, str]] = {
    "tickhouse": {field: field for field in MAPPABLE},
    "S&P 500 set": {"symbol": "Name", "ts": "date", **{field: field for field in _PRICES}},
    "exchange indices": {"symbol": "Index", **_CAPITALS},
    "bokeh stocks": {"symbol": "Ticker", **_CAPITALS},
}
"""Shapes recognised by themselves, by bar field → column; a column of an optional field may be missing."""

NAMES: dict[str, tuple[str, ...]] = {
    **{field: (field,) for field in MAPPABLE},
    "symbol": ("symbol", "ticker"),
    "ts": ("ts", "timestamp", "datetime", "date", "time"),
    "adj_close": ("adj_close", "adjusted_close", "adjclose"),
}
"""What a column may be called where no shape fits, in capitals or not, with spaces or underscores."""


class SourceError(ValueError):
    """A feed cannot be read as bars; the message says where and what to do."""


def parse_mapping(text: str) -> dict[str, str]:
    """`field=column,field=column` as a dictionary. A column's name may hold spaces and `=`, not a comma.

    Raises SourceError for a field that a bar does not have or that is named twice, or a pair without both sides.
    """
    mapping: dict[str, str] = {}
    for pair in text.split(","):
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not (field and equals and column):
            raise SourceError(f"cannot read {pair.strip()!r} in the mapping {text!r}: write field=column,field=column")
        if field in mapping:
            raise SourceError(f"the mapping names {field} twice: {text!r}")
        mapping[field] = column
    _refuse_unknown_fields(mapping)
    return mapping


def choose_mapping(
    found: Sequence[str], *, given: Mapping[str, str] | None = None, symbol: str | None = None, where: str = "the file"
) -> dict[str, str]:
    """Bar field → column, for a file with the columns `found`; without `symbol` in it where the caller gives one.

    What is `given` wins over the recognised shape. Columns that no field takes are kept out. Raises SourceError, naming
    the columns, the shapes and the way to map, when a field is left without a column.
    """
    given = given or {}
    _refuse_unknown_fields(given)
    missing = [column for column in given.values() if column not in found]
    if missing:
        raise SourceError(
            f"{where} has no column {_quoted(missing)}, which the mapping names{_meant(missing, found)}. It has: {_listed(found)}"
        )
    shape, unmapped = _nearest_shape(found, given, is_symbol_given=symbol is not None)
    if unmapped:
        shape = {**_named(found, given), **{field: column for field, column in shape.items() if column in found}}
        unmapped = [field for field in unmapped if field not in shape]
    if unmapped:
        raise SourceError(_not_recognised(found, unmapped, where))
    chosen = {**{field: column for field, column in shape.items() if column in found}, **given}
    twice = sorted({column for column in chosen.values() if found.count(column) > 1})
    if twice:
        raise SourceError(f"{where} has more than one column {_quoted(twice)}, and a bar's field must be one")
    if symbol is not None and "symbol" in chosen:
        raise SourceError(f"{where} has its symbols in the column {chosen['symbol']!r}; --symbol is for a file without one")
    return chosen


def _nearest_shape(found: Sequence[str], given: Mapping[str, str], *, is_symbol_given: bool) -> tuple[dict[str, str], list[str]]:
    """The shape that leaves the fewest fields without a column, and those fields."""
    ranked = []
    for rank, shape in enumerate(SHAPES.values()):
        unmapped = [field for field in REQUIRED if field not in given and shape[field] not in found]
        ranked.append((len(unmapped), rank, shape, [field for field in unmapped if field != "symbol" or not is_symbol_given]))
    _, _, shape, unmapped = min(ranked, key=lambda entry: entry[:2])
    return shape, unmapped


def _named(found: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """The fields that have one column, and one only, that is called so."""
    columns = {}
    for field in MAPPABLE:
        called_so = [column for column in found if _plain(column) in NAMES[field] and column not in given.values()]
        if len(called_so) == 1 and field not in given:
            columns[field] = called_so[0]
    return columns


def _plain(column: str) -> str:
    return column.strip().casefold().replace(" ", "_")


def _refuse_unknown_fields(mapping: Mapping[str, str]) -> None:
    unknown = sorted(set(mapping) - set(MAPPABLE))
    if unknown:
        raise SourceError(f"a bar has no field {', '.join(unknown)} to map to; its fields are {', '.join(MAPPABLE)}")


def _not_recognised(found: Sequence[str], unmapped: Sequence[str], where: str) -> str:
    columns = {name: [shape[field] for field in REQUIRED] for name, shape in SHAPES.items()}
    shapes = "\n".join(f"  {name}: {_listed(shape)}" for name, shape in columns.items())
    example = ",".join(f"{field}=<column>" for field in unmapped)
    hint = ", or for a file that is one symbol's: --symbol <symbol>" if "symbol" in unmapped else ""
    return (
        f"cannot tell which columns of {where} are a bar's {_listed(unmapped)}.\n"
        f"It has: {_listed(found)}\nRecognised by themselves are\n{shapes}\n"
        f"and, in capitals or not, one column called {' or '.join(NAMES['ts'])}, and the like\n"
        f"Name the others: --map {example}{hint}"
    )


def _meant(missing: Sequence[str], found: Sequence[str]) -> str:
    plain = {_plain(column): column for column in found}
    near = [plain[name] for column in missing for name in get_close_matches(_plain(column), plain, n=1)]
    return f" (did you mean {_quoted(near)}?)" if near else ""


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns)


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(repr(column) for column in columns)
