"""Video fitting: a clip as a function of time and place."""
