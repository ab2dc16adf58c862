"""The demo: the whole story, told over the public API."""
