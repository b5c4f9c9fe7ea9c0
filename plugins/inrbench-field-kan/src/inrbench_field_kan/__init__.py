"""The coordinate-KAN."""
