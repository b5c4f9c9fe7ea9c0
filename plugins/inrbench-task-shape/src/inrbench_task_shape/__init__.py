"""Solids in [-1, 1]^3, represented by their occupancy or by their signed distance."""
