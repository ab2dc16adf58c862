"""Tests of the datasets, a file per room."""
