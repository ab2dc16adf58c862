"""Tests of the rules that the code's own shape must keep."""
