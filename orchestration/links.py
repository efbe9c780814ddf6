"""Where people read on: addresses of the pages, the API, the models' documentation and Data Docs, as settings have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from tickhouse.settings import Settings


class Links:
    """Addresses for people's browsers."""

    def __init__(self, settings: Settings) -> None:
        self._pages, self._api = settings.pages.public_url, settings.api.public_url
        self.docs = settings.docs.public_url
        self.data_docs = settings.docs.validation_url

    def model_docs(self, resource_type: str, unique_id: str) -> str:
        """The page of a model or seed in the dbt docs."""
        return f"{self.docs}/#!/{resource_type}/{unique_id}"

    def exposure(self, exposure: Mapping[str, Any]) -> str | None:
        """Where what the dbt project names as an exposure is shown: at the address of settings, by its own path."""
        if not exposure["url"]:
            return None
        return f"{self._pages if exposure['type'] == 'dashboard' else self._api}{urlsplit(exposure['url']).path}"

    def attach(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The asset with its own links; a model has them from its description."""
        own = {
            "validated_slot": {"data_docs": self.data_docs},
            "published_snapshot": {"pages": self._pages, "api": f"{self._api}/docs"},
            "dbt_docs": {"dbt_docs": self.docs},
        }.get(spec.key.to_user_string(), {})
        return spec.merge_attributes(metadata={name: dg.MetadataValue.url(url) for name, url in own.items()}) if own else spec
