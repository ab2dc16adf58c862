"""Feeds bring prices in from outside and judge them before they are stored."""
