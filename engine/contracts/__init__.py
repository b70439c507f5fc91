"""Wire types, limits and errors: what the engine says and hears, without behaviour."""
