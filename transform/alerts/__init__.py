"""What people are told: the ledger of what became of every alert, and its delivery."""
