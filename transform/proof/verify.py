"""The whole proof: every chain, every validation record, where every bar is, and every published file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from ingestion.chain.slot import Chain
from ingestion.chain.walk import read_genesis
from ingestion.held_offsets import HeldOffsets
from ingestion.topic import BrokerUnreachableError, TopicMissingError, describe_topic
from tickhouse.settings import Settings
from tickhouse.storage import ObjectMissingError, Storage
from transform.marts import FCT_INDICATOR
from transform.proof.chains import ChainWalk, lake_chains
from transform.proof.files import LakeFiles
from transform.proof.finding import BUILD_AGAIN, RESTORE, Finding, Findings
from transform.proof.produced import ProducedCheck
from transform.proof.recount import Recount, open_scratch
from transform.proof.snapshots import SnapshotsProof, newest_readable, prove_snapshots, whole_files
from transform.proof.validated import ValidatedChain
from transform.snapshot.manifest import Balance, Manifest, manifest_key

NO_TOPIC_READ = "not compared with Kafka: --topic reads what it still holds"

Tell = Callable[[str, int, int | None], object]
"""Told the stage (`landed bars, looked at`), how many are done, and of how many."""


@dataclass
class LakeCount:
    """What the chains hold. Their offsets = bars + dead letters + lost + unread + those that hold no message.

    `messages` are those that Kafka still holds and that were compared; None when it was not asked, and `not_asked` says why.
    """

    chains: int = 0
    slots: int = 0
    archives: int = 0
    offsets: int = 0
    bars: int = 0
    dead_letters: int = 0
    lost: int = 0
    unread: int = 0
    validated: int = 0
    quarantined: int = 0
    files: int = 0
    bytes: int = 0
    unsealed: int = 0
    messages: int | None = None
    not_asked: str | None = None

    @property
    def produced(self) -> int:
        """Messages: every one is a bar or a dead letter."""
        return self.bars + self.dead_letters

    @property
    def no_message(self) -> int:
        """Offsets of transaction markers and aborted records."""
        return self.offsets - self.bars - self.dead_letters - self.lost - self.unread

    def add_chain(self, walk: ChainWalk, validated: ValidatedChain) -> None:
        """Count what was met on the way through a chain, but for bars and dead letters."""
        self.chains += 1
        self.slots += walk.slots
        self.archives += walk.archives
        self.offsets += walk.end - walk.start
        self.lost += walk.lost
        self.unread += walk.unread
        self.validated += validated.rows
        self.quarantined += validated.quarantined


@dataclass
class Verification:
    """What `verify` came to. `recounted` is the balance of what the newest snapshot covers, counted from the lake."""

    lake: LakeCount = field(default_factory=LakeCount)
    recounted: Balance | None = None
    snapshots: SnapshotsProof = field(default_factory=SnapshotsProof)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(settings: Settings, storage: Storage, tell: Tell, *, is_topic_read: bool = False) -> Verification:
    """Prove the lake and what is published; nothing is changed, and everything else may run meanwhile.

    With `is_topic_read` every offset of the topic of the settings is held against what landed. Memory: one archive (0.7 kB a
    bar), and 1 GB for DuckDB; disk: some 30 bytes a bar in the data folder while it runs. Raises what the storage raises, and
    BrokerUnreachableError when the broker goes while the topic is read.
    """
    findings = Findings()
    newest = newest_readable(storage)
    with ExitStack() as opened:
        scratch = opened.enter_context(open_scratch(settings.data_dir))
        held, not_asked = _held(settings, opened) if is_topic_read else (None, NO_TOPIC_READ)
        recount = Recount(scratch)
        watermark = newest.watermark if newest is not None else {}
        lake = _prove_lake(storage, watermark, recount, held, findings, tell)
        lake.not_asked = not_asked
        steps = _Steps("published rows, looked at", None, tell)
        snapshots = prove_snapshots(storage, newest, scratch, findings, steps.add)
        recounted = None
        if newest is not None:
            recounted = recount.balance()
            _compare(storage, newest, recounted, recount, snapshots, findings)
    return Verification(lake, recounted, snapshots, findings.all, findings.notes)


class _Steps:
    """How far one stage is."""

    def __init__(self, stage: str, total: int | None, tell: Tell) -> None:
        self._stage, self._total, self._tell, self._done = stage, total, tell, 0

    def add(self, rows: int) -> None:
        self._done += rows
        self._tell(self._stage, self._done, self._total)


def _held(settings: Settings, opened: ExitStack) -> tuple[HeldOffsets | None, str | None]:
    """What Kafka holds; or why it cannot be asked."""
    try:
        return opened.enter_context(HeldOffsets(settings, describe_topic(settings))), None
    except (BrokerUnreachableError, TopicMissingError) as error:
        return None, f"not compared with Kafka: {error}"


def _prove_lake(
    storage: Storage, watermark: Mapping[str, int], recount: Recount, held: HeldOffsets | None, findings: Findings, tell: Tell
) -> LakeCount:
    files, count = LakeFiles(storage, findings), LakeCount()
    chains = lake_chains(storage)
    for path in sorted(watermark.keys() - {chain.path for chain in chains}):
        expected, key = f"a chain landed up to offset {watermark[path]}", Chain.of_path(path).genesis_key
        findings.add("chain missing", key, expected=expected, found="nothing of it", remedy=RESTORE)
    begun_at = _begun_at(storage, chains)
    steps = _Steps("landed bars, looked at", None, tell)
    produced = None if held is None else ProducedCheck(held, findings)
    for chain in chains:
        covered = watermark.get(chain.path, 0)
        walk, validated = ChainWalk(files, chain, covered), ValidatedChain(files, chain, covered)
        for slot in walk.walk():
            offered = validated.offered(slot)
            if slot.footer.next_offset <= covered:
                recount.add(slot.bars if offered is None else offered, slot.bars.num_rows, begun_at.get(chain.topic_id))
            if produced is not None and held is not None and chain.topic_id == held.topic.topic_id:
                produced.check(slot)
            count.bars += slot.bars.num_rows
            count.dead_letters += len(slot.letters)
            steps.add(slot.bars.num_rows)
        if not walk.unread:
            validated.note_litter(walk.end)
        count.add_chain(walk, validated)
    count.files, count.bytes, count.unsealed = files.files, files.bytes, files.unsealed
    count.messages = None if produced is None else produced.messages
    return count


def _begun_at(storage: Storage, chains: Sequence[Chain]) -> dict[str, datetime]:
    """When each incarnation of a topic was first landed, as far as it can be read."""
    begun: dict[str, datetime] = {}
    for chain in chains:
        try:
            at = read_genesis(storage, chain).begun_at
        except (ObjectMissingError, ValueError, KeyError):
            continue  # told where the chain is walked
        begun[chain.topic_id] = min(at, begun.get(chain.topic_id, at))
    return begun


def _compare(
    storage: Storage, manifest: Manifest, counted: Balance, recount: Recount, proof: SnapshotsProof, findings: Findings
) -> None:
    """Hold the newest snapshot against the lake: its balance, and which bars are in it."""
    key, said = manifest_key(manifest.number), manifest.balance
    if counted != said:
        findings.add("balance", key, expected=_balance_text(said), found=_balance_text(counted), remedy=BUILD_AGAIN)
    bars = manifest.marts.get(FCT_INDICATOR)
    paths = None if bars is None else whole_files(storage, bars, proof)
    if paths is None:
        findings.note(f"The bars of snapshot {manifest.number} were not held against the lake's: its files are not whole.")
        return
    published, unpublished, strange = recount.compare(paths)
    expected = (
        f"{counted.current:,} current bars of the lake in {FCT_INDICATOR} of snapshot {manifest.number}, and no other landed ones"
    )
    found = [
        *([f"{published:,} landed bars"] if published != counted.current else []),
        *([f"{unpublished.bars:,} are not published: {unpublished.some}"] if unpublished.bars else []),
        *([f"{strange.bars:,} are not in the lake: {strange.some}"] if strange.bars else []),
    ]
    if found:
        findings.add("published bars", key, expected=expected, found="; ".join(found), remedy=BUILD_AGAIN)


def _balance_text(balance: Balance) -> str:
    sides = f"{balance.current:,} current + {balance.superseded:,} superseded + {balance.quarantined:,} quarantined"
    return f"{balance.landed:,} landed = {sides}"
