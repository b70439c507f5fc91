"""Runs of the embedded engine that crash at every point where something is written."""
