"""Key-value stores behind one interface."""
