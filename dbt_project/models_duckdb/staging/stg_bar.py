"""Landed bars that passed validation, slot by slot."""


def model(dbt, session):
    dbt.config(materialized="incremental", incremental_strategy="append", on_schema_change="append_new_columns")

    from tickhouse.storage import open_storage
    from transform.dbt import running_settings
    from transform.staging import staged_bars

    slots = dbt.source("landing", "slot")
    change_seq = dbt.source("control", "build").aggregate("max(build_seq)").fetchall()[0][0]
    stored = session.table(str(dbt.this)) if dbt.is_incremental else None
    return staged_bars(open_storage(running_settings()), session, slots, stored, change_seq)
