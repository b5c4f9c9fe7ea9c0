"""The coordinate-MLP, and recipes made of it."""
