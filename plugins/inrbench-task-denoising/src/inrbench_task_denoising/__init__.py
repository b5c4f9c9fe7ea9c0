"""Denoising: a clean picture from its noisy pixels."""
