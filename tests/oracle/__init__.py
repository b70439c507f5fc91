"""The oracle: an independent model of the behaviour, for checking the engine."""

from .generate import Shape, generate, generate_timed
from .generate_rules import random_rules, write_rules_folder
from .oracle import Oracle

__all__ = [
    "Oracle",
    "Shape",
    "generate",
    "generate_timed",
    "random_rules",
    "write_rules_folder",
]
