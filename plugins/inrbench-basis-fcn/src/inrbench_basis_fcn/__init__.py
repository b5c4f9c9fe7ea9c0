"""A tiny network on every edge of a KAN layer."""
