"""What follows from a frequency's retirement: its grants end that day, what was asked for is refused."""
