"""Freshness by the exchange's own schedule: which bar there should be by now, and on which trading days there is none."""
