"""See DESIGN in CONTRIBUTING.md for what belongs into this room."""
