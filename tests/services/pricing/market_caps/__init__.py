"""Tests of market capitalisations."""
