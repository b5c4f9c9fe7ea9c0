"""Sparse-view computed tomography: a slice from its line integrals."""
