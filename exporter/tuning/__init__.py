"""Tuning: kernels built in many ways, timed by whoever can, and what came of it."""
