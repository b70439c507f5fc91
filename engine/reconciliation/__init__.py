"""Snapshots and the comparison of the book with what others believe."""
