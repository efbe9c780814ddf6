"""Whom assets belong to: the owners of the dbt project's groups, as Dagster writes them."""


def team(name: str) -> str:
    """A team by its name in the dbt project."""
    return f"team:{name.lower().replace(' ', '-')}"


DATA_PLATFORM = team("Data platform")
MARKET_ANALYTICS = team("Market analytics")
