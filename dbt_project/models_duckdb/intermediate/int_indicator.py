"""Every bar's indicators, and the state that carries them on."""


def model(dbt, session):
    dbt.config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["symbol", "interval", "ts"],
        on_schema_change="fail",
        # What a random walk gives does not compress: trying takes a fifth of the time and saves as much of the space.
        # Outside of the transaction: within one, dbt would not see the rows, which it writes on another connection.
        pre_hook={"sql": "set disabled_compression_methods = 'alp,alprd'", "transaction": False},
        post_hook={"sql": "reset disabled_compression_methods", "transaction": False},
    )

    from transform.indicators.again import bars_to_compute_again
    from transform.indicators.incremental import changed_indicators
    from transform.indicators.refresh import all_indicators

    bars = dbt.ref("int_bar")
    builds = dbt.source("control", "build")
    change_seq = builds.aggregate("max(build_seq)").fetchall()[0][0]
    if dbt.is_incremental:
        stored = session.table(str(dbt.this))
        restaged, removed = dbt.source("control", "restaged_bar"), dbt.source("control", "removed_row")
        again = bars_to_compute_again(session, bars, stored, builds, restaged, removed)
        return changed_indicators(session, bars, stored, change_seq, again)
    return all_indicators(session, bars, change_seq)
