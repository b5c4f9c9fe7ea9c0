"""What a plugin implements. Modules without torch: entries, spec, hookspecs, executor, errors."""
