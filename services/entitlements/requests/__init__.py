"""Asking for access and deciding on it: a request has one item per frequency."""
