"""An S3 server on loopback for tests, with credentials that open nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto.server import ThreadedMotoServer

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The environment of a process that speaks to the server."""


@contextmanager
def s3_server() -> Iterator[str]:
    """A running server's address. All servers of one process have their buckets in common."""
    requests = logging.getLogger("werkzeug")
    level = requests.level
    requests.setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        requests.setLevel(level)


def make_bucket(endpoint_url: str, bucket: str) -> None:
    client = boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1", **_keys())
    client.create_bucket(Bucket=bucket)


def empty_bucket(endpoint_url: str, bucket: str) -> None:
    objects = boto3.resource("s3", endpoint_url=endpoint_url, region_name="us-east-1", **_keys()).Bucket(bucket).objects
    objects.all().delete()


def _keys() -> dict[str, str]:
    return {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
