"""Going on: a new grant takes the place of a running one, without a gap and never for less."""
