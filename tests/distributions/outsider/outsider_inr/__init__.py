"""A cosine activation."""
