"""One module a page: it asks the market, and shows the answer."""
