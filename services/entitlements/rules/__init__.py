"""The vendor's automatic answers: rules are data with a version, and never decide twice."""
