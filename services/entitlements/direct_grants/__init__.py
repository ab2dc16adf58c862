"""Granting without a request: Ops gives access, and what was asked for the same cells is settled by it."""
