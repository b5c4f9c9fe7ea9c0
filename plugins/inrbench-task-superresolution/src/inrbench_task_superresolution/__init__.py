"""Super-resolution: a fine picture from a coarse one."""
