"""Who has read how much of what, as pricing counts it, for those who decide."""
