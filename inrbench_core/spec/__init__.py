"""From YAML to a validated list of runs. Imports no torch."""
