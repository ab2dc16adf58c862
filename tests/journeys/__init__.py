"""Journeys: the story of the brief through the public API, on running processes."""
