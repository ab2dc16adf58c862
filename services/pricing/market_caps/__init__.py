"""Market capitalisations: one a day, each with where it is from."""
