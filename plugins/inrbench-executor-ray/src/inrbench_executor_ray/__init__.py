"""Runs on a Ray cluster for inrbench."""
