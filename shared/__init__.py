"""The ground every process stands on: no domain word in it, and it imports no other package of ours."""

__version__ = "0.1.0"
