"""Poisson reconstruction: a picture from its derivatives."""
