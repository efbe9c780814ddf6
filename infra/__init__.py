"""What machines are told: configuration that ships with the code, and no code."""
