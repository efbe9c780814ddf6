"""A replay that goes on where it stopped, were it killed: messages and the place reached, in one Kafka transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pyarrow as pa
import structlog
from confluent_kafka import KafkaError, KafkaException

from ingestion.bookmark import Bookmark
from ingestion.hung_call import HungError, call_within
from ingestion.outage import Outage
from ingestion.outbox import STOP_SECONDS, Outbox
from ingestion.pace import choose_pace
from ingestion.producer import Progress, ReplayReport, Teller, goal
from ingestion.slices import Slice, read_slices
from ingestion.sources.feed import Feed, TableFeed
from ingestion.topic import UNREACHABLE, ensure_topic
from tickhouse.settings import Settings

TRANSACTION_SECONDS = 1.0
TRANSACTION_ROWS = 50_000
"""A transaction is committed when it is so old, or has so many messages: what a killed replay has to send again."""

ABANDONED_SECONDS = 30.0
"""Kafka aborts a killed replay's transaction after so long, unless it is resumed before. Until then its readers wait there."""

_CALL_SECONDS = 1.0
_HUNG_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
_PASSING = UNREACHABLE | {
    KafkaError._MSG_TIMED_OUT,
    KafkaError._STATE,  # of a transaction that failed while it was added to
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
}

_UNSETTLED = {KafkaError._TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT}

log = structlog.get_logger(__name__)


class ReplayFencedError(RuntimeError):
    """Kafka takes no more messages from this replay: another one of the same feed has begun."""


class ReplayUnsettledError(RuntimeError):
    """Kafka does not say how far the replay has come: it left one of its transactions open."""


class ReplayRefusedError(RuntimeError):
    """Kafka refuses a message, and would whenever it is sent."""


def resume_replay(
    settings: Settings,
    bars: Feed | pa.Table,
    *,
    on_progress: Progress | None = None,
    stop: threading.Event | None = None,
    restart: bool = False,
) -> ReplayReport:
    """Replay as `ingestion.producer.replay` does, going on after the last bar that an earlier call delivered of this feed.

    Each transaction carries messages and the place that they reach, so a reader of what is committed sees every bar once,
    whenever and however often the replay was killed. A second replay of the feed shuts the first one out. `max_messages`
    counts those of earlier calls too, and a feed that is at its end sends nothing; with `restart` it begins anew. A broker that
    goes away is waited for. Kafka forgets the place with the topic, and when nothing was added for its
    `offsets.retention.minutes` (seven days).

    Raises ReplayFencedError, ReplayRefusedError, ReplayUnsettledError, BrokerUnreachableError when no broker answers at the
    start, and what reading the feed raises.
    """
    topic = ensure_topic(settings)
    feed = TableFeed(bars) if isinstance(bars, pa.Table) else bars
    bookmark = Bookmark(settings, feed, topic)
    try:
        return _Resumption(settings, feed, bookmark, on_progress, stop or threading.Event()).run(restart)
    finally:
        bookmark.close()


class _Resumption:
    """A client of Kafka that fails is thrown away, and the next goes on as after a kill: from the place that Kafka knows."""

    def __init__(
        self, settings: Settings, feed: Feed, bookmark: Bookmark, on_progress: Progress | None, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._bookmark = bookmark
        self._stop = stop
        self._goal = goal(settings.producer, feed)
        self._teller = Teller(on_progress, self._goal)
        self._outage = Outage(settings.kafka.bootstrap_servers)
        self._outbox: Outbox | None = None
        self._committed = self._position = 0
        self._heard_at = time.monotonic()
        self._commit_due: float | None = None  # None when no transaction is open
        self._refusal: KafkaError | None = None

    def run(self, restart: bool) -> ReplayReport:
        started = time.monotonic()
        self._until_done(self._forget_place if restart else lambda _outbox: None)
        resumed_at = self._committed
        if self._outbox is None:  # told to stop before Kafka answered
            return ReplayReport(0, 0, 0, time.monotonic() - started)
        log.info("replay goes on" if resumed_at else "replay begins", at=resumed_at, of=self._goal, bookmark=self._bookmark.name)
        self._teller.tell(resumed_at, is_last=True)
        self._until_done(self._send_all)
        self._teller.tell(self._committed, is_last=True)
        sent = self._committed - resumed_at
        return ReplayReport(sent, sent, 0, time.monotonic() - started, resumed_at=resumed_at)

    def _until_done(self, step: Callable[[Outbox], None]) -> None:
        """Take the step, with as many clients as it needs; told to stop, with no more than one."""
        while True:
            try:
                self._outbox = self._outbox or self._connect()
                return step(self._outbox)
            except KafkaException as error:
                if self._outbox is not None:
                    self._outbox.discard()
                    self._outbox = None
                self._judge(error)
            except HungError as error:
                self._outbox = None
                log.warning(
                    "a client of Kafka hangs; the next goes on at what is committed", reason=str(error), at=self._committed
                )
            if self._stop.wait(_PAUSE_SECONDS):
                return None

    def _connect(self) -> Outbox:
        """A client that shuts every other one of this feed out, and ends their transactions. Reads the place they reached."""
        timeout = int(ABANDONED_SECONDS * 1000)
        client = {"transactional.id": self._bookmark.name, "transaction.timeout.ms": timeout, "message.timeout.ms": timeout}
        outbox = Outbox(
            self._settings, self._stop, on_wait=self._tell, on_failure=self._note_failure, outage=self._outage, **client
        )
        self._refusal = None
        try:
            self._insist(outbox, outbox.client.init_transactions)
            self._note_answer()
            self._insist(outbox, self._find_place)
        except KafkaException as error:
            outbox.discard()  # it would go on asking, and shut its successor out
            if error.args[0].code() in _UNSETTLED and not (self._outage.is_on or self._stop.is_set()):
                raise ReplayUnsettledError(
                    f"Kafka answers, but for {ABANDONED_SECONDS:g} s it has not told how far this replay has come: a broker that "
                    "is killed within a commit can leave a transaction open. Readers of what is committed wait there too, until "
                    f"`kafka-transactions.sh find-hanging` and `abort` have ended it. Group: {self._bookmark.name}"
                ) from None
            raise
        return outbox

    def _find_place(self, seconds: float) -> None:
        self._committed, self._commit_due = self._bookmark.read(seconds), None

    def _forget_place(self, outbox: Outbox) -> None:
        self._position = 0
        self._begin(outbox)
        self._commit(outbox)

    def _send_all(self, outbox: Outbox) -> None:
        options, self._position = self._settings.producer, self._committed
        pace = choose_pace(options)
        for messages in read_slices(self._feed, pace, position=self._position, until=self._goal, loop=options.loop):
            self._wait_until(outbox, pace.due(messages.event_time, len(messages)))
            if self._stop.is_set():
                break
            self._send(outbox, messages)
        self._commit(outbox)
        self._wait_until(outbox, pace.end())

    def _send(self, outbox: Outbox, messages: Slice) -> None:
        self._begin(outbox)
        before = outbox.produced
        outbox.send(messages)
        self._position += outbox.produced - before
        if self._position - self._committed >= TRANSACTION_ROWS or self._is_commit_due():
            self._commit(outbox)
        self._tell()

    def _wait_until(self, outbox: Outbox, due: float) -> None:
        """Wait, and commit meanwhile what has waited long enough."""
        while time.monotonic() < due and not self._stop.is_set():
            outbox.wait_until(due if self._commit_due is None else min(due, self._commit_due))
            if self._is_commit_due():
                self._commit(outbox)

    def _is_commit_due(self) -> bool:
        return self._commit_due is not None and time.monotonic() >= self._commit_due

    def _begin(self, outbox: Outbox) -> None:
        if self._commit_due is None:
            outbox.client.begin_transaction()
            self._commit_due = time.monotonic() + TRANSACTION_SECONDS

    def _commit(self, outbox: Outbox) -> None:
        if self._commit_due is None:
            return
        outbox.settle()  # a commit would take the reports that are outstanding, and the reasons of failures with them
        place = self._bookmark.at(self._position)
        # Asked once: after a time-out it was seen to return no more. Nor does it always when the broker goes meanwhile.
        call_within(_HUNG_SECONDS, lambda: outbox.client.send_offsets_to_transaction(*place, STOP_SECONDS))
        self._insist(outbox, outbox.client.commit_transaction)
        self._committed, self._commit_due = self._position, None
        self._note_answer()

    def _insist(self, outbox: Outbox, call: Callable[[float], None]) -> None:
        """Call until it is done, or has failed for too long, or failed for a reason that does not pass by itself."""
        began = time.monotonic()
        while True:
            try:
                return call_within(_HUNG_SECONDS, lambda: call(_CALL_SECONDS))
            except KafkaException as error:
                reason, waited = error.args[0], time.monotonic() - began
                is_passing = not reason.txn_requires_abort() and (reason.retriable() or reason.code() in _PASSING)
                if not is_passing or waited > (STOP_SECONDS if self._stop.is_set() else ABANDONED_SECONDS):
                    raise
                outbox.take_reports(0.1)

    def _tell(self) -> None:
        self._teller.tell(self._committed)

    def _note_answer(self) -> None:
        self._heard_at = time.monotonic()
        self._outage.end()

    def _note_failure(self, error: KafkaError) -> None:
        if error.code() not in _PASSING:
            self._refusal = self._refusal or error

    def _judge(self, error: KafkaException) -> None:
        """Raise what another client would not mend."""
        reason, at = error.args[0], self._committed
        if reason.fatal() and self._is_shut_out():
            raise ReplayFencedError(
                f"another replay of this feed has begun ({reason.str()}). Of this one the first {at:,} bars are delivered"
            ) from None
        if self._refusal is not None and not reason.fatal():
            raise ReplayRefusedError(
                f"Kafka refuses a message after the first {at:,}, which are delivered: {self._refusal.str()}"
            ) from None
        if not (reason.fatal() or reason.txn_requires_abort() or reason.retriable() or reason.code() in _PASSING):
            raise error
        if not self._stop.is_set():
            log.warning("a client of Kafka failed; the next goes on at what is committed", reason=reason.str(), at=at)

    def _is_shut_out(self) -> bool:
        """Whether it was another replay: Kafka also shuts out one that it did not hear of for too long."""
        is_silent = time.monotonic() - self._heard_at > ABANDONED_SECONDS
        return not is_silent or self._bookmark.read(STOP_SECONDS) != self._committed
