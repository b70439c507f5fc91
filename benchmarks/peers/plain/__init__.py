"""The work of INV-1 in plain Python, for the peers written in it; nothing of our engine."""
