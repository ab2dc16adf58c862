"""Deciding: Ops approves or refuses items of a request, all or nothing, each exactly once."""
