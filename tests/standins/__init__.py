"""Stand-ins for outside systems, speaking their real wire format."""
