"""Encodings of coordinates by sines and cosines."""
