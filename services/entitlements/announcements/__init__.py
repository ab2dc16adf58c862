"""What is to be said of a grant when its time comes: that it began, will end, or has ended."""
