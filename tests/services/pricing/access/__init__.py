"""What pricing asks others."""
