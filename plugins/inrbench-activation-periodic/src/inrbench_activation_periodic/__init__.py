"""Periodic activations: SIREN's sine and its descendants."""
