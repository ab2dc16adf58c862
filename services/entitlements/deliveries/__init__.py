"""Bringing what is told to webhooks: an attempt, what came of it, and when there are no more."""
