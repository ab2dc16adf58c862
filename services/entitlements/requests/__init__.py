"""What was asked for and what became of it: a request has one item per frequency."""
