"""What people do with dead letters: find them, see what became of them, send them again."""
