"""What Ops sees of a request before deciding it: who asks, what was decided before, how long is left."""
