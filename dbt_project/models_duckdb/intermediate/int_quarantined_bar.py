"""Landed bars that failed validation, with the rules they broke."""


def model(dbt, session):
    dbt.config(materialized="incremental", incremental_strategy="append", on_schema_change="fail")

    from tickhouse.storage import open_storage
    from transform.dbt import running_settings
    from transform.staging import quarantined_bars

    dbt.ref("stg_bar")  # whoever starts that anew starts this anew too: other rules may have quarantined other bars
    slots = dbt.source("landing", "slot")
    change_seq = dbt.source("control", "build").aggregate("max(build_seq)").fetchall()[0][0]
    stored = session.table(str(dbt.this)) if dbt.is_incremental else None
    return quarantined_bars(open_storage(running_settings()), session, slots, stored, change_seq)
