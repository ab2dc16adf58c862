"""The command line, run as people and containers run it."""
