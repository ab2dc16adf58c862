"""Faults and abuse on real processes: what is injected, and what must come out."""
