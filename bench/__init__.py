"""How fast it is, beside what stands next to it: `python -m bench.<name>`, answers checked before anything is timed."""
