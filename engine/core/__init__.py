"""The pure step of the engine: movements and time in, changed state and outputs out."""
