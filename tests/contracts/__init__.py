"""What the gateway publishes about itself, held against what it does."""
