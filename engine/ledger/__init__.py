"""What movements do to stock: effects, counts as of a time, reservations, identities, the clock."""
