"""Bases of sines for KAN layers."""
