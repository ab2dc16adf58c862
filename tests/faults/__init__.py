"""What comes out when a client is hostile or a part is away."""
