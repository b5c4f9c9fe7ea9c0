"""Carrying out runs and keeping what comes of them."""
