"""What an account may read of all there is, and what there is of it: asked of each owner once."""
