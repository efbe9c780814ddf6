"""What a landed slot must pass before a model may read it, and where the rows go that do not."""
