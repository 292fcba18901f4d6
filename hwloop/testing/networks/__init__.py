"""Seeded networks in the shapes that people deploy, as exporters write them, one family a file."""
