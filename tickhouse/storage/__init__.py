"""The lake's storage: one protocol, and the only place that knows which kind is configured."""

from __future__ import annotations

from tickhouse.settings import Settings
from tickhouse.storage.base import ObjectMissingError, Storage, StorageRefusedError, StorageUnavailableError

__all__ = ["ObjectMissingError", "Storage", "StorageRefusedError", "StorageUnavailableError", "open_storage"]


def open_storage(settings: Settings) -> Storage:
    """The lake that `settings.storage` names. Nothing is created or contacted yet.

    Raises StorageRefusedError when the AWS client is not installed, or cannot be made of these settings.
    """
    chosen = settings.storage
    if chosen.kind == "s3":
        try:
            from tickhouse.storage.s3 import S3Storage
        except ImportError as error:
            raise StorageRefusedError("storage.kind is s3, which needs the AWS client: install tickhouse[aws]") from error

        assert chosen.bucket is not None  # StorageSettings refuses kind s3 without one
        prefix = chosen.prefix or ""
        return S3Storage(chosen.bucket, prefix, settings.cache_path, region=chosen.region, endpoint_url=chosen.endpoint_url)
    from tickhouse.storage.local import LocalStorage

    return LocalStorage(settings.lake_path)
