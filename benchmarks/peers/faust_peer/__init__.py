"""INV-1 by plain Faust."""
