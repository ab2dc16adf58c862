"""Says what is due of grants, late if need be, but once."""
