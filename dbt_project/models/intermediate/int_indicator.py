"""Every bar's indicators, and the state that carries them on."""


def model(dbt, session):
    dbt.config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["symbol", "interval", "ts"],
        on_schema_change="fail",
    )

    from transform.indicators.incremental import changed_indicators
    from transform.indicators.refresh import all_indicators

    bars = dbt.ref("int_bar")
    change_seq = dbt.source("control", "build").aggregate("max(build_seq)").fetchall()[0][0]
    if dbt.is_incremental:
        return changed_indicators(session, bars, session.table(str(dbt.this)), change_seq)
    return all_indicators(session, bars, change_seq)
