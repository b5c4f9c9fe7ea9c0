"""Audio fitting: a recording as a function of time."""
