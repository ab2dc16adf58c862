"""What becomes of a request when it comes in: what is new in it, and what the rules answer at once."""
