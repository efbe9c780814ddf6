"""The jobs people and sensors start."""

import dagster as dg

BUILD = dg.define_asset_job(
    "build", selection=dg.AssetSelection.all(), description="Validate what has landed, build the models, publish."
)
