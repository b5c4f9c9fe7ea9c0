"""Fields compared across tasks."""
