"""`inrbench verify`: probes of a folder of results, and what they found."""
