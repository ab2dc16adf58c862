"""The `tickgate` command: brings the platform up, tells its story, and does an operator's chores."""
