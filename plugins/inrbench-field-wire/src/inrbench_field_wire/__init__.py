"""WIRE: networks of complex Gabor wavelets."""
