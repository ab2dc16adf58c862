"""Datasets and the frequencies they are sold in."""
