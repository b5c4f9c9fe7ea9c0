"""Piecewise polynomial bases of KAN layers."""
