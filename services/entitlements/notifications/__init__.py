"""Telling people: one inbox row per event and recipient, whatever is retried or killed on the way."""
