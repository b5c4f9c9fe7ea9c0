"""Radial bases of KAN layers."""
