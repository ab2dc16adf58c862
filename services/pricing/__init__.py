"""Pricing owns what an asset cost and costs; it never decides who may read it."""
