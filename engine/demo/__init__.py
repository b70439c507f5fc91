"""A year of retail sales, derived into movements, rules and a run of the engine."""
