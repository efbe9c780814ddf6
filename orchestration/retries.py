"""Which failures are tried again within a run: those that may pass by themselves, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb

from ingestion.topic import BrokerUnreachableError
from tickhouse.storage import StorageUnavailableError
from transform.alerts.delivery import ChannelsDownError
from transform.snapshot.publish import PublishConflictError
from transform.validation.revalidation import RevalidationConflictError

RETRIES = 3
SECONDS_TO_WAIT = 10.0

ANEW_AFTER_A_CRASH = {"dagster/max_retries": "2"}
"""Tags of a job whose run starts anew when its process died (`run_retries` in dagster.yaml), for no sensor asks for it again."""

_PASSING = (
    StorageUnavailableError,
    BrokerUnreachableError,
    ChannelsDownError,
    PublishConflictError,
    RevalidationConflictError,
)


@contextmanager
def tried_again() -> Iterator[None]:
    """Have Dagster try the step again, up to `RETRIES` times, when what fails in the block may pass; else it fails at once."""
    try:
        yield
    except Exception as error:
        if may_pass(error):
            raise dg.RetryRequested(RETRIES, SECONDS_TO_WAIT) from error
        raise


def may_pass(error: Exception) -> bool:
    """Whether doing the same again may do: a storage, broker or channel that does not answer, another who came first, a warehouse
    that somebody has open. What validation refused or a model or test got wrong will be so the next time too.
    """
    return isinstance(error, _PASSING) or (isinstance(error, duckdb.IOException) and "lock" in str(error))
