"""The chart component: the package's own, in a frame that keeps the zoom when new bars arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit.components.v1 as components

from apps.dashboard.panes import Pane


def draw_chart(panes: Sequence[Pane], view: str, visible_bars: int) -> None:
    """Show the panes. While `view` stays, new bars leave the zoom as it is; another view shows the last `visible_bars`."""
    height = sum(pane["height"] for pane in panes)
    _component()(name=view, charts=panes, height=height, zoom_level=visible_bars, default=0, key="chart")


@cache
def _component() -> Callable[..., Any]:
    import lightweight_charts_v5  # noqa: F401 - registers the component whose files ours loads

    return components.declare_component("chart", path=Path(__file__).with_name("chart_view"))
