"""Wavelet activations: waves under a Gaussian envelope, as in WIRE."""
