"""Accounts and their API keys: who may come through the door, and in which role."""
