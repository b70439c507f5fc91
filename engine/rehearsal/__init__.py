"""Rehearsing a peak: a recorded or generated load, faults on request, and a verdict."""
