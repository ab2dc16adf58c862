"""Taking back what was asked for, while it is undecided."""
