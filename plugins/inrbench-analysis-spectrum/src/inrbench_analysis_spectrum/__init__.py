"""The error of a fit by frequency."""
