"""Tests of the ground, a file per room."""
