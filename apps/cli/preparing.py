"""What is made once, ahead of everything else: Kafka's jars, the parsed dbt project, its documentation, compiled code."""

from __future__ import annotations

from collections.abc import Callable

from apps.cli.demo.plan import claim_folder, demo_settings
from apps.cli.docs_site import ensure_docs
from ingestion import fetch, sender
from ingestion.broker import BrokerUnavailableError, ensure_kafka
from tickhouse.settings import Settings
from transform.indicators import kernel, signals


def prepare_installation(settings: Settings, say: Callable[[str], None]) -> None:
    """Prepare the data folder and the demo's own. Where no broker can be had, say why: that is no error."""
    demo = demo_settings(settings)
    claim_folder(demo)
    for each in (settings, demo):
        say(f"dbt project parsed and documented: {ensure_docs(each)}")
    fetch.load_compiled_code()
    sender.load_compiled_code()
    kernel.load_compiled_code()
    signals.load_compiled_code()
    say("Producer, ingestor and indicator kernel compiled")
    try:
        say(f"Kafka: {ensure_kafka()}")
    except BrokerUnavailableError as reason:
        say(f"No broker can be run here, so a demo will use a mock that keeps nothing. {reason}")
