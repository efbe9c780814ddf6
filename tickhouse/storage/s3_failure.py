"""What the AWS client's errors mean: a key that is taken or missing, a failure that may pass, one that will not."""

from __future__ import annotations

from botocore.exceptions import (
    ClientError,
    ConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from tickhouse.storage.base import ObjectMissingError, StorageRefusedError, StorageUnavailableError

_TAKEN = ("PreconditionFailed", "412")
_IN_FLIGHT = ("ConditionalRequestConflict", "OperationAborted", "409")
_MISSING = ("NoSuchKey", "NotFound", "404")
_THROTTLED = ("SlowDown", "RequestTimeout", "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests")
_NOT_IMPLEMENTED = 501
_UNANSWERED = (HTTPClientError, ConnectionError, IncompleteReadError, FlexibleChecksumError, ResponseParserError)


class TakenError(Exception):
    """The condition failed: the key is taken."""


class InFlightError(StorageUnavailableError):
    """Another conditional write of the key is under way: its outcome is not known yet."""


def failure_of(error: Exception, uri: str) -> Exception:
    """What to raise for an error of the AWS client about the object at `uri`."""
    if isinstance(error, ClientError):
        return _answer(error, uri)
    is_passing = isinstance(error, _UNANSWERED) and not isinstance(error, SSLError)  # a certificate does not mend itself
    return (StorageUnavailableError if is_passing else StorageRefusedError)(f"{uri}: {error}")


def _answer(error: ClientError, uri: str) -> Exception:
    code = error.response["Error"]["Code"]
    if code in _MISSING:
        return ObjectMissingError(uri)
    if code in _TAKEN:
        return TakenError(uri)
    if code in _IN_FLIGHT:
        return InFlightError(f"{uri}: another write of this object is in flight")
    if code == "NoSuchBucket":
        return StorageRefusedError(f"storage.bucket names a bucket that does not exist: make it, or name another ({uri}: {code})")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    is_passing = code in _THROTTLED or status == 429 or (status >= 500 and status != _NOT_IMPLEMENTED)
    return (StorageUnavailableError if is_passing else StorageRefusedError)(f"{uri}: {error}")
