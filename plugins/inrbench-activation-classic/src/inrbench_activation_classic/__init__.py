"""Classic activations: those that networks used before they represented signals."""
