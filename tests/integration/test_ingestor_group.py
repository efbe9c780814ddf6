"""Several ingestors, and what their group knows: the chain is the fence, the group a hint."""

from __future__ import annotations

import json
from pathlib import Path

from ingesting import (
    assert_landed_exactly,
    committed,
    ingesting,
    send_bars,
    slots,
    wait_until_landed,
)

from tickhouse.settings import Settings


def test_the_group_knows_offset_and_last_slot(topic_settings: Settings) -> None:
    send_bars(topic_settings, range(200))
    with ingesting(topic_settings):
        wait_until_landed(topic_settings, 200)
    last = {slot.chain.partition: slot for slot in slots(topic_settings)}
    commits = committed(topic_settings)
    assert last.keys() <= commits.keys()
    for partition, slot in last.items():
        assert commits[partition].offset == slot.footer.next_offset
        hint = json.loads(commits[partition].metadata or "")
        assert hint == {"topic_id": slot.chain.topic_id, "position": slot.footer.position}


def test_a_lake_that_was_lost_is_landed_anew_whatever_the_group_says(topic_settings: Settings, tmp_path: Path) -> None:
    sent = send_bars(topic_settings, range(100))
    with ingesting(topic_settings):
        wait_until_landed(topic_settings, 100)
    other = topic_settings.model_copy(update={"data_dir": tmp_path / "another lake"})
    with ingesting(other):
        wait_until_landed(other, 100)
    assert_landed_exactly(other, sent)
