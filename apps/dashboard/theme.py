"""The pages' colours and shapes, light and dark: one place for Streamlit's own elements, tables and charts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colours of one theme, as CSS writes them."""

    background: str
    surface: str
    text: str
    muted: str
    line: str
    accent: str
    up: str
    down: str
    warning: str
    sma_20: str
    sma_50: str
    ema_12: str
    ema_26: str

    @property
    def up_faint(self) -> str:
        return self.up + "66"

    @property
    def down_faint(self) -> str:
        return self.down + "66"


LIGHT = Palette(
    background="#ffffff",
    surface="#f4f6f9",
    text="#17202c",
    muted="#5c6b7c",
    line="#e3e8ef",
    accent="#2459d3",
    up="#0b8a6b",
    down="#cc3d4e",
    warning="#b76e00",
    sma_20="#d97b00",
    sma_50="#7b4fd1",
    ema_12="#1b74d8",
    ema_26="#a0522d",
)
DARK = Palette(
    background="#0f1520",
    surface="#171f2e",
    text="#e4e9f1",
    muted="#93a3b8",
    line="#232e41",
    accent="#6aa1ff",
    up="#2fbf96",
    down="#f2686f",
    warning="#f0b355",
    sma_20="#f2b04a",
    sma_50="#b596f5",
    ema_12="#62b0f0",
    ema_26="#d9a28a",
)


PAGE_STYLE = """
<style>
  .stMainBlockContainer { padding-left: 2.5rem; padding-right: 2.5rem; }
  .stMetric { min-width: 7.5rem; }
</style>
"""
"""What Streamlit has no option for: the width of the page's margins, and figures that wrap before they are cut."""


def palette(kind: str | None) -> Palette:
    """The palette of Streamlit's `st.context.theme.type`: light until the browser has said."""
    return DARK if kind == "dark" else LIGHT


def theme_options() -> dict[str, str]:
    """Streamlit's own theme options, light and dark; which of the two is shown is the browser's choice."""
    options = {
        "theme.baseRadius": "6px",
        "theme.showWidgetBorder": "true",
        "theme.metricValueFontSize": "1.35rem",
        "theme.headingFontSizes": '["1.9rem", "1.5rem", "1.15rem"]',
        "theme.paddingTop": "3rem",
    }
    for kind, colors in (("light", LIGHT), ("dark", DARK)):
        options |= {
            f"theme.{kind}.primaryColor": colors.accent,
            f"theme.{kind}.backgroundColor": colors.background,
            f"theme.{kind}.secondaryBackgroundColor": colors.surface,
            f"theme.{kind}.textColor": colors.text,
            f"theme.{kind}.borderColor": colors.line,
            f"theme.{kind}.greenColor": colors.up,
            f"theme.{kind}.redColor": colors.down,
            f"theme.{kind}.orangeColor": colors.sma_20,
            f"theme.{kind}.violetColor": colors.sma_50,
            f"theme.{kind}.blueColor": colors.ema_12,
            f"theme.{kind}.yellowColor": colors.ema_26,
            f"theme.{kind}.greenTextColor": colors.up,
            f"theme.{kind}.redTextColor": colors.down,
            f"theme.{kind}.orangeTextColor": colors.sma_20,
            f"theme.{kind}.violetTextColor": colors.sma_50,
            f"theme.{kind}.blueTextColor": colors.ema_12,
            f"theme.{kind}.yellowTextColor": colors.ema_26,
            f"theme.{kind}.grayTextColor": colors.muted,
            f"theme.{kind}.sidebar.backgroundColor": colors.surface,
            f"theme.{kind}.sidebar.secondaryBackgroundColor": colors.background,
        }
    return options
