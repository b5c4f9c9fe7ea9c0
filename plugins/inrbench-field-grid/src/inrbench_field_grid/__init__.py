"""A plain interpolated grid as a field."""
