"""Latency predictors: to be built; they will learn from the store's records."""
