"""Settings and figures of papers, and a command that reproduces them."""
