"""How a grant ends before its time: revoked by Ops, now or later, or given back by who holds it."""
