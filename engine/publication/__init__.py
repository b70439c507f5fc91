"""Throttled publication: what each channel is told, and when."""
