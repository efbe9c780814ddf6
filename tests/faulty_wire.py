"""Faults between an S3 client and its server, beneath the client's own retries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

WireFault = Callable[[AWSPreparedRequest], AWSResponse | None]
"""What happens to one request in place of its being sent and answered; None lets it go its way."""

_TEXTS = {
    409: ("ConditionalRequestConflict", "A conflicting conditional operation is currently in progress"),
    403: ("AccessDenied", "Access Denied"),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    501: ("NotImplemented", "A header you provided implies functionality that is not implemented"),
    503: ("SlowDown", "Please reduce your request rate."),
}


class _Body(BytesIO):
    """What urllib3 would hand over."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def answers(status: int) -> WireFault:
    """The server answers with an error of this status, and has done nothing."""

    def answer(request: AWSPreparedRequest) -> AWSResponse:
        code, message = _TEXTS[status]
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return AWSResponse(request.url, status, {"Content-Type": "application/xml"}, _Body(text.encode()))

    answer.__name__ = f"answers_{status}"
    return answer


def refuses_connections(request: AWSPreparedRequest) -> None:
    raise EndpointConnectionError(endpoint_url=request.url, error="Connection refused")


def connects_too_slowly(request: AWSPreparedRequest) -> None:
    """Times out before anything was sent."""
    raise ConnectTimeoutError(endpoint_url=request.url)


def loses_the_answer(request: AWSPreparedRequest) -> None:
    """Sends the request, lets the server do what it asks, and times out."""
    _send(request)
    raise ReadTimeoutError(endpoint_url=request.url)


def answers_500_afterwards(request: AWSPreparedRequest) -> AWSResponse | None:
    """Sends the request, lets the server do what it asks, and answers that it failed."""
    _send(request)
    return answers(500)(request)


def cuts_the_body(request: AWSPreparedRequest) -> AWSResponse:
    """Answers with all headers and half of the body."""
    answer = _send(request)
    whole = answer.content
    return AWSResponse(request.url, answer.status_code, answer.headers, _Body(whole[: len(whole) // 2]))


def strips_the_condition(request: AWSPreparedRequest) -> None:
    """Lets the request through to a server that does not see its condition, as stores that know none behave."""
    del request.headers["If-None-Match"]


PASSING: tuple[WireFault, ...] = (
    *(answers(500), answers(503), answers_500_afterwards),
    *(refuses_connections, connects_too_slowly, loses_the_answer),
)
"""What an S3 client makes good by itself, when it does not last."""


@contextmanager
def faulty_wire(client: Any, faults: Iterable[WireFault | None], operation: str | None = None) -> Iterator[list[str]]:
    """Within the block each request of the client meets the next fault, or none where there is None, or no more of them.

    Only requests of `operation` ("PutObject", …) count, or all; the operations met are in the list.
    """
    plan, met = iter(faults), list[str]()

    def meet(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        met.append(event_name.rpartition(".")[2])
        fault = next(plan, None)
        return None if fault is None else fault(request)

    event = f"before-send.s3.{operation}" if operation else "before-send.s3"
    client.meta.events.register(event, meet)
    try:
        yield met
    finally:
        client.meta.events.unregister(event, meet)


def _send(request: AWSPreparedRequest) -> AWSResponse:
    answer = URLLib3Session().send(request)
    assert answer.content is not None  # read to its end: the server has done its work
    return answer
