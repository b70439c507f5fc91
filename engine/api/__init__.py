"""The HTTP service: one application over any runtime."""
