"""The vocabulary every part speaks: settings, the bar, storage, logging. No part's logic."""
