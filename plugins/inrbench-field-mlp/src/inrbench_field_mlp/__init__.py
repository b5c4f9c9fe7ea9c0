"""The coordinate-MLP."""
