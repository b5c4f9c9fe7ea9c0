"""Polynomial bases of KAN layers, each a three-term recurrence."""
