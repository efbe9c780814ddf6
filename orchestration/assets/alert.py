"""Telling people of alerts as an asset: what the newest snapshot's ledger holds that a channel has not got."""

import dagster as dg

from orchestration.resources import Platform
from orchestration.retries import tried_again
from orchestration.teams import DATA_PLATFORM
from transform.alerts.waiting import deliver_waiting

CHANNEL_TAG = "tickhouse/channel"
"""The tag of a run that delivers to one channel; a run without it delivers to all."""


@dg.asset(
    deps=["published_snapshot"],
    group_name="alerts",
    owners=[DATA_PLATFORM],
    kinds={"apprise"},
    description="Alerts that were told, by each channel of `delivery.channels`, at least once and in the ledger's order.",
)
def delivered_alert(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    with tried_again():
        told = deliver_waiting(platform.settings(), platform.storage(), context.run.tags.get(CHANNEL_TAG))
    return dg.MaterializeResult(metadata={f"told_{channel}": alerts for channel, alerts in told.items()})
