"""Everything at once on real prices: starts every part, replays, watches, reports, ends what it started."""
