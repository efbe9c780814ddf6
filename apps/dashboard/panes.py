"""The panes of a symbol's chart, as the chart component takes them: prices, volume, indicators on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from apps.dashboard.theme import Palette
from apps.market import RsiLevels

PRICE_HEIGHT, VOLUME_HEIGHT, INDICATOR_HEIGHT = 370, 110, 120


@dataclass(frozen=True)
class Overlay:
    """Indicators drawn over the prices: what people call them, their columns, Streamlit's name for the palette's `color`."""

    label: str
    columns: tuple[str, ...]
    named: str
    color: str


OVERLAYS = {
    "sma_20": Overlay("SMA 20", ("sma_20",), "orange", "sma_20"),
    "sma_50": Overlay("SMA 50", ("sma_50",), "violet", "sma_50"),
    "ema_12": Overlay("EMA 12", ("ema_12",), "blue", "ema_12"),
    "ema_26": Overlay("EMA 26", ("ema_26",), "yellow", "ema_26"),
    "bollinger": Overlay("Bollinger 20, 2", ("bollinger_lower_20", "bollinger_upper_20"), "gray", "muted"),
}
INDICATOR_PANES = {"rsi_14": "RSI 14", "macd": "MACD 12, 26, 9", "atr_14": "ATR 14"}
"""Indicators with a pane of their own, and what people call them."""

_DASHED = 2
_FEW_BARS = 400
_FONT = "system-ui, sans-serif"
Row = Mapping[str, Any]
Pane = dict[str, Any]

LONGEST_TICK = len("14:30")
"""With room for longer labels a short month has none: the day after its first would be labelled instead."""


@dataclass(frozen=True)
class Drawing:
    """How to draw: prices on the price basis or as traded, which of `OVERLAYS` and of `INDICATOR_PANES`, how many bars.

    `is_intraday` shows times of day below the chart.
    """

    palette: Palette
    levels: RsiLevels
    adjusted: bool
    overlays: tuple[str, ...]
    panes: tuple[str, ...]
    is_intraday: bool
    visible_bars: int


def has_values(bars: pa.Table, indicator: str) -> bool:
    """Whether any bar has it: settings may leave an indicator out, and a short history is all warm-up."""
    return bool(bars[indicator].null_count < bars.num_rows)


def build_panes(bars: pa.Table, alerts: pa.Table, drawing: Drawing) -> list[Pane]:
    """Panes for prices, volume and, where there are values, each of the indicators asked for.

    `bars` are rows of `fct_indicator` of one symbol and interval, oldest first, at least one; `alerts` rows
    of `fct_alert` of the same, newest first, of which price changes become markers.
    """
    rows = bars.to_pylist()
    panes = [_price_pane(rows, alerts.to_pylist(), drawing), _volume_pane(rows, has_values(bars, "mean_volume_20"), drawing)]
    panes += [_PANE_MAKERS[name](rows, drawing) for name in drawing.panes if has_values(bars, name)]
    panes[0]["chart"] = _look(drawing)
    return panes


def _price_pane(rows: Sequence[Row], alerts: Sequence[Row], drawing: Drawing) -> Pane:
    palette = drawing.palette
    near = drawing.visible_bars <= _FEW_BARS
    moves = [alert for alert in reversed(alerts) if alert["rule"] == "price_change" and alert["ts"] >= rows[0]["ts"]]
    candles = {
        "type": "Candlestick",
        "data": [_candle(row, "basis_" if drawing.adjusted else "", palette) for row in rows],
        "options": {
            "upColor": palette.up,
            "downColor": palette.down,
            "wickUpColor": palette.up,
            "wickDownColor": palette.down,
            "borderVisible": False,
        },
        "markers": [_marker(alert, palette, labelled=near) for alert in moves if near or alert["severity"] == "high"],
    }
    lines = [
        _line(rows, column, getattr(palette, overlay.color), lastValueVisible=False)
        for overlay in (OVERLAYS[name] for name in drawing.overlays)
        for column in overlay.columns
    ]
    return {"height": PRICE_HEIGHT, "series": [candles, *lines]}


def _volume_pane(rows: Sequence[Row], has_mean: bool, drawing: Drawing) -> Pane:
    palette = drawing.palette
    format_volume = {"priceFormat": {"type": "volume"}}
    volumes = {
        "type": "Histogram",
        "data": [_volume(row, palette) for row in rows],
        "options": format_volume | {"priceLineVisible": False},
    }
    mean = [_line(rows, "mean_volume_20", palette.muted, lastValueVisible=False, **format_volume)] if has_mean else []
    return {**_titled("Volume"), "height": VOLUME_HEIGHT, "series": [volumes, *mean]}


def _rsi_pane(rows: Sequence[Row], drawing: Drawing) -> Pane:
    palette = drawing.palette
    chosen = (drawing.levels.overbought, drawing.levels.oversold)
    levels = [_level(rows, level, palette.muted) for level in chosen if level is not None]
    return _indicator_pane("rsi_14", [_line(rows, "rsi_14", palette.accent), *levels])


def _macd_pane(rows: Sequence[Row], drawing: Drawing) -> Pane:
    palette = drawing.palette
    bars = [_histogram_bar(row, palette) for row in rows]
    histogram = {"type": "Histogram", "data": bars, "options": {"priceLineVisible": False, "lastValueVisible": False}}
    signal = _line(rows, "macd_signal", palette.sma_20, lastValueVisible=False)
    return _indicator_pane("macd", [histogram, _line(rows, "macd", palette.accent), signal])


def _atr_pane(rows: Sequence[Row], drawing: Drawing) -> Pane:
    return _indicator_pane("atr_14", [_line(rows, "atr_14", drawing.palette.accent)])


_PANE_MAKERS = {"rsi_14": _rsi_pane, "macd": _macd_pane, "atr_14": _atr_pane}


def _indicator_pane(name: str, series: list[dict[str, Any]]) -> Pane:
    return {**_titled(INDICATOR_PANES[name]), "height": INDICATOR_HEIGHT, "series": series}


def _titled(title: str) -> Pane:
    return {"title": title, "chart": {"titleOptions": {"fontSize": 12, "fontFamily": _FONT, "fontStyle": ""}}}


def _look(drawing: Drawing) -> dict[str, Any]:
    palette = drawing.palette
    return {
        "layout": {
            "background": {"color": palette.background},
            "textColor": palette.muted,
            "fontFamily": _FONT,
            "fontSize": 12,
            "panes": {"separatorColor": palette.line, "enableResize": False},
        },
        "grid": {"vertLines": {"color": palette.line}, "horzLines": {"color": palette.line}},
        "rightPriceScale": {"minimumWidth": 72},
        "priceScaleBorderColor": palette.line,
        "timeScaleBorderColor": palette.line,
        "timeScale": {
            "timeVisible": drawing.is_intraday,
            "secondsVisible": False,
            "lockVisibleTimeRangeOnResize": True,
            "tickMarkMaxCharacterLength": LONGEST_TICK,
        },
    }


def _candle(row: Row, prefix: str, palette: Palette) -> dict[str, Any]:
    """A bar that is not closed yet is drawn faint."""
    prices = {name: row[prefix + name] for name in ("open", "high", "low", "close")}
    if None in prices.values():
        return {"time": _time(row)}
    faint = palette.up_faint if prices["close"] >= prices["open"] else palette.down_faint
    look = {} if row["is_closed"] else {"color": faint, "wickColor": faint}
    return {"time": _time(row), **prices, **look}


def _volume(row: Row, palette: Palette) -> dict[str, Any]:
    if row["volume"] is None:
        return {"time": _time(row)}
    is_up = (row["close"] or 0) >= (row["open"] or 0)
    return {"time": _time(row), "value": row["volume"], "color": palette.up_faint if is_up else palette.down_faint}


def _histogram_bar(row: Row, palette: Palette) -> dict[str, Any]:
    value = row["macd_histogram"]
    if value is None:
        return {"time": _time(row)}
    return {"time": _time(row), "value": value, "color": palette.up_faint if value >= 0 else palette.down_faint}


def _line(rows: Sequence[Row], name: str, color: str, **options: Any) -> dict[str, Any]:
    """A gap where there is no value: a point with a time alone. A null would stop the whole chart."""
    data = [{"time": _time(row)} if row[name] is None else {"time": _time(row), "value": row[name]} for row in rows]
    look = {"color": color, "lineWidth": 1.5, "priceLineVisible": False, "crosshairMarkerVisible": False}
    return {"type": "Line", "data": data, "options": look | options}


def _level(rows: Sequence[Row], value: float, color: str) -> dict[str, Any]:
    ends = [rows[0], rows[-1]] if len(rows) > 1 else rows
    look = {"color": color, "lineWidth": 1, "lineStyle": _DASHED, "priceLineVisible": False, "lastValueVisible": False}
    data = [{"time": _time(row), "value": value} for row in ends]
    return {"type": "Line", "data": data, "options": look | {"crosshairMarkerVisible": False}}


def _marker(alert: Row, palette: Palette, *, labelled: bool) -> dict[str, Any]:
    is_up = alert["value"] > 0
    return {
        "time": _time(alert),
        "position": "belowBar" if is_up else "aboveBar",
        "shape": "arrowUp" if is_up else "arrowDown",
        "color": palette.warning,
        "text": f"{alert['value']:+.0f} %" if labelled and alert["severity"] == "high" else "",
    }


def _time(row: Row) -> int:
    """The chart counts seconds since 1970, UTC."""
    return int(row["ts"].timestamp())
