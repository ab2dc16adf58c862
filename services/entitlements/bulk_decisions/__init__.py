"""Deciding items of many requests in one call, each in its own transaction."""
