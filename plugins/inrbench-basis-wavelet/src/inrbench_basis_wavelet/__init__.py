"""Wavelets on the edges of KAN layers."""
