"""Tests of the schemas' histories and of what each role may do."""
