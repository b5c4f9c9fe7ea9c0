"""Undersampled magnetic resonance imaging: a slice from part of its k-space."""
