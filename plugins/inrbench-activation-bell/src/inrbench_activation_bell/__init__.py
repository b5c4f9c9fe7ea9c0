"""Bell-shaped activations: local where a sine is global."""
