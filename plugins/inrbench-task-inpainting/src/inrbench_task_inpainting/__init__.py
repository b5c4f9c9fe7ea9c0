"""Inpainting: the missing pixels of a picture from the known ones."""
