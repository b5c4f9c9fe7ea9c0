"""The neural tangent kernel of a field, and what it predicts of a fit."""
