"""The schemas' histories: a folder and a version table for each, one env.py for all."""
