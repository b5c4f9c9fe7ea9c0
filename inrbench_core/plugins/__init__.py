"""Finding, loading and looking up plugins. Imports no torch."""
