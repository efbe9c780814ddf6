"""`tickhouse dlq replay`: choosing letters, mending one, sending them, and saying what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from apps.cli.ending import stop_on_signals
from apps.cli.letters import fate_text, letter_lines, letters_console, totals_text
from apps.cli.replaying import UndeliveredError
from ingestion.dlq.book import LetterBook, Search
from ingestion.dlq.letter import Letter
from ingestion.dlq.resend import Mending, parse_header, resend_letters
from tickhouse.settings import Settings

_PREVIEWED = 20


@dataclass(frozen=True)
class Wish:
    """What to replay: the letters at `places`, or those `search` finds; `is_again` those too that have landed since."""

    places: tuple[str, ...]
    search: Search | None
    is_again: bool = False


def parse_mending(value: Path | None, headers: Sequence[str], places: Sequence[str]) -> Mending:
    """What the options --value and --header say. Raises ValueError when they cannot be, or the file cannot be read."""
    if value is not None and len(places) != 1:
        raise ValueError("--value mends one letter: name its place, and no other")
    try:
        return Mending(None if value is None else value.read_bytes(), tuple(map(parse_header, headers)))
    except OSError as error:
        raise ValueError(f"--value {value} cannot be read: {error.strerror}") from None


def parse_wish(places: Sequence[str], search: Search, *, is_all: bool, is_again: bool) -> Wish:
    """Raises ValueError when places and a search are wanted together, or neither."""
    is_search = is_all or search != Search()
    if bool(places) == is_search:
        raise ValueError("name the places of letters, such as 0/1234, or choose by --stage, --partition, --since, or take --all")
    return Wish(tuple(places), replace(search, fate=None if is_again else "waiting") if is_search else None, is_again)


def replay_letters(
    settings: Settings, book: LetterBook, wish: Wish, mending: Mending, confirm: Callable[[str], bool], *, is_dry: bool
) -> None:
    """Replay what is wished, after `confirm` said yes where many were chosen by a search; `is_dry` only tells.

    Raises LetterMissingError before anything is sent, UndeliveredError when Kafka refused messages, and as
    `resend_letters` does.
    """
    say = letters_console().print
    letters, count = _searched(book, wish, say) if wish.search else _named(book, wish, say)
    if not count:
        say("There is nothing to replay.")
    elif is_dry:
        say(letter_lines(book, islice(letters, _PREVIEWED)))
        say(f"{count:,} would be sent to topic {book.topic}; nothing was.", highlight=False)
    elif wish.search is None or confirm(f"Send {count:,} dead letters to topic {book.topic} again?"):
        _send(settings, letters, mending, say)
    else:
        say("Nothing was sent.")


def _named(book: LetterBook, wish: Wish, say: Callable[..., None]) -> tuple[Iterator[Letter], int]:
    """The letters at the places, each with the first place of its line, less those that are bars by now."""
    letters = []
    for text in dict.fromkeys(wish.places):
        letter = book.read(book.place(text))
        first = book.read(book.first(letter))
        tries = book.tries(first)
        if any(each.is_bar for each in tries) and not wish.is_again:
            say(f"{text} has {fate_text(book, tries)}: left out (--again sends it all the same)", highlight=False)
        else:
            letters.append(replace(letter, place=first.place, timestamp=first.timestamp))
    return iter(letters), len(letters)


def _searched(book: LetterBook, wish: Wish, say: Callable[..., None]) -> tuple[Iterator[Letter], int]:
    assert wish.search is not None
    counts = book.count(wish.search)
    if counts:
        say(totals_text(book, counts, 0))
    return book.in_order(wish.search), counts.total()


def _send(settings: Settings, letters: Iterator[Letter], mending: Mending, say: Callable[..., None]) -> None:
    with stop_on_signals() as stop:
        report = resend_letters(settings, letters, mending, stop)
    noun = "dead letter" if report.delivered == 1 else "dead letters"
    say(f"{report.delivered:,} {noun} delivered to {settings.kafka.topic} in {report.seconds:.1f} s.", highlight=False)
    if report.failed:
        raise UndeliveredError(f"{report.failed:,} of {report.produced:,} were not delivered: {report.first_error}")
    say("When an ingestor has landed them, `tickhouse dlq list` tells what became of each.", highlight=False)
