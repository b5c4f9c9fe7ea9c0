"""Encodings by cells of the domain: interpolated tables, and soft bins."""
