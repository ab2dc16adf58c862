"""Prices: series of bars, their revisions, and what is missing in them."""
