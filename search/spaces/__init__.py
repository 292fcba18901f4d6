"""Search spaces, by name."""
