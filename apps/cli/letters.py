"""What people and programs are shown of dead letters."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ingestion.dlq.book import Fate, LetterBook, Search
from ingestion.dlq.letter import Letter
from ingestion.dlq.tries import Try

_AGO = re.compile(r"(\d{1,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_BYTES = 4096
_SHOWN_KEY = 12
_UNCUT_WIDTH = 4096


class _Row(NamedTuple):
    cells: tuple[str, ...]
    reason: str


_HEAD = _Row(("place", "time, UTC", "stage", "key", "state"), "reason; `tickhouse dlq show PLACE` tells all")


def parse_since(text: str, now: datetime) -> int:
    """Milliseconds since 1970 UTC of a time, or of so long ago: 90s, 15m, 2h, 7d, 1w. Raises ValueError for neither."""
    if (ago := _AGO.fullmatch(text)) is not None:
        at = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            wanted = "a time in UTC, such as 2026-01-31T12:00, or so long ago: 90s, 15m, 2h, 7d"
            raise ValueError(f"--since {text} is not understood: {wanted}") from None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)


def list_report(book: LetterBook, search: Search, limit: int) -> RenderableType:
    """The newest `limit` letters (0 for all) that are wanted, and how many there are at which stage."""
    if not book.landed.dead_letters:
        return Text(f"Topic {book.topic} has no dead letters; {book.landed.rows:,} bars have landed.")
    counts = book.count(search)
    if not counts:
        return Text(f"None of the dead letters of topic {book.topic} is like that. Without options all are listed.")
    shown = islice(book.newest(search), limit or None)
    return Group(letter_lines(book, shown), totals_text(book, counts, limit))


def letter_lines(book: LetterBook, letters: Iterable[Letter]) -> Text:
    """Two lines for each of the letters: what it is and what became of it, and why it is one, cut where the line ends."""
    rows = [_HEAD, *(_row(book, letter) for letter in letters)]
    widths = [max(len(row.cells[column]) for row in rows) for column in range(len(_HEAD.cells))]
    lines = []
    for row in rows:
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row.cells, widths, strict=True)).rstrip())
        lines.append(f"    {row.reason}")
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


def letters_console() -> Console:
    """Standard output; off a terminal so wide that no reason is cut."""
    console = Console()
    return console if console.is_terminal else Console(width=_UNCUT_WIDTH)


def totals_text(book: LetterBook, counts: Counter[tuple[str, Fate]], limit: int) -> Text:
    """How many of the wanted letters wait and have landed, by stage, and what is not shown."""
    lines = []
    for stage in sorted({stage for stage, _ in counts}):
        waiting, landed = counts[stage, "waiting"], counts[stage, "landed"]
        lines.append(f"{stage}: {waiting:,} waiting" + (f", {landed:,} landed since" if landed else ""))
    total = counts.total()
    head = f"{total:,} dead {'letter' if total == 1 else 'letters'} of topic {book.topic}, beside {book.landed.rows:,} bars."
    more = [f"The newest {limit:,} are listed; --limit 0 lists all."] if 0 < limit < total else []
    return Text("\n".join([head, *lines, *more]))


def json_lines(book: LetterBook, search: Search, limit: int) -> Iterator[str]:
    """The newest `limit` letters (0 for all) that are wanted, each as a line of JSON."""
    for letter in islice(book.newest(search), limit or None):
        tries = book.tries(letter)
        yield json.dumps(
            {
                "place": letter.place.text(book.present),
                "topic": letter.topic,
                "topic_id": letter.place.topic_id,
                "partition": letter.place.partition,
                "offset": letter.place.offset,
                "timestamp": time_text(letter.timestamp),
                "stage": letter.stage,
                "reason": letter.reason,
                "key_base64": None if letter.key is None else base64.b64encode(letter.key).decode(),
                "bytes": None if letter.value is None else len(letter.value),
                "is_landed": any(each.is_bar for each in tries),
                "replays": [{"place": each.place.text(book.present), "is_bar": each.is_bar} for each in tries],
            }
        )


def letter_report(book: LetterBook, letter: Letter) -> Text:
    """Everything that is known of a letter, its value so that no terminal is disturbed by it."""
    first = book.first(letter)
    said = {
        "topic": f"{letter.topic}, id {letter.place.topic_id}",
        "partition": str(letter.place.partition),
        "offset": str(letter.place.offset),
        "timestamp": f"{time_text(letter.timestamp)} ({letter.timestamp} ms)",
        "key": printable(letter.key),
        "headers": "\n".join(f"{printable(name.encode())} = {printable(value)}" for name, value in letter.headers) or "–",
        "stage": letter.stage,
        "reason": printable(letter.reason.encode()),
    }
    if first != letter.place:
        said["replay of"] = first.text(book.present)
    said["state"] = "\n".join(_try_texts(book, book.tries(book.read(first)))) or "waiting"
    text = Text()
    for name, value in said.items():
        text.append(f"{name:10}", "bold").append(value.replace("\n", "\n" + " " * 10) + "\n")
    return text.append(value_text(letter.value))


def value_text(value: bytes | None) -> str:
    """A value as text where it is one, else as bytes in hexadecimal; of a long one the beginning."""
    if value is None:
        return "no value (a tombstone)"
    shown = value[:_SHOWN_BYTES]
    try:
        shown.decode()
        body = "\n".join(printable(line.encode()) for line in shown.decode().split("\n"))
    except UnicodeDecodeError:
        body = "\n".join(_hex_line(shown, at) for at in range(0, len(shown), 16))
    rest = len(value) - len(shown)
    return f"value, {len(value):,} bytes:\n{body}" + (f"\n… {rest:,} bytes more: --raw writes them all" if rest else "")


def printable(data: bytes | None) -> str:
    """Bytes as a text of one line in which whatever a terminal could act upon is escaped; – for none."""
    if data is None:
        return "–"
    text = data.decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def time_text(timestamp: int) -> str:
    """Milliseconds since 1970 UTC as ISO 8601; as they are where no calendar has them."""
    try:
        return (_EPOCH + timedelta(milliseconds=timestamp)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{timestamp} ms"


def fate_text(book: LetterBook, tries: Sequence[Try]) -> str:
    """What became of a letter since, in a few words."""
    if not tries:
        return "waiting"
    bar = next((each for each in tries if each.is_bar), None)
    if bar is not None:
        return f"landed as {bar.place.text(book.present)}"
    times = f" ({len(tries)} times)" if len(tries) > 1 else ""
    return f"dead again at {tries[-1].place.text(book.present)}{times}"


def _row(book: LetterBook, letter: Letter) -> _Row:
    key = printable(letter.key)
    cells = (
        letter.place.text(book.present),
        time_text(letter.timestamp),
        letter.stage,
        key if len(key) <= _SHOWN_KEY else f"{key[: _SHOWN_KEY - 1]}…",
        fate_text(book, book.tries(letter)),
    )
    return _Row(cells, printable(letter.reason.encode()))


def _try_texts(book: LetterBook, tries: Sequence[Try]) -> Iterator[str]:
    for each in tries:
        place = each.place.text(book.present)
        if each.is_bar:
            yield f"landed as {place}"
        else:
            again = book.read(each.place)
            yield f"dead again at {place}: {again.stage}: {printable(again.reason.encode())}"


def _hex_line(data: bytes, at: int) -> str:
    row = data[at : at + 16]
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{at:08x}  {row.hex(' '):47}  {letters}"
