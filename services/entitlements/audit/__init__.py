"""What was done anywhere on the platform, for Ops: each service keeps its own trail, and all are read here."""
