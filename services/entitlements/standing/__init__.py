"""Blocking, unblocking and closing accounts; revoking is not blocking, and never implies it."""
