"""One router a noun: the service itself, bars, symbols, indicators."""
