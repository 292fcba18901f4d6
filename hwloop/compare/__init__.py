"""Two things side by side on one device: which is faster, by how much, and how sure that is."""
