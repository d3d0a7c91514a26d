"""Complexity, attention rank and plots."""
