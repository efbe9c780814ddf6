"""Bars with their indicators, and the state that carries them on."""


def model(dbt, session):
    dbt.config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["symbol", "interval", "ts"],
    )

    from transform.indicators.incremental import indicator_rows

    bars = dbt.ref("int_bar")
    build = dbt.source("control", "build").order("build_seq desc").limit(1).project("build_seq, computed_indicators")
    change_seq, computed = build.fetchall()[0]
    stored = session.table(str(dbt.this)) if dbt.is_incremental else None
    return indicator_rows(session, bars, stored, computed, change_seq)
