"""Asking back before deciding: Ops asks about a request, its owner answers, and both read the thread."""
