"""Scoring models on test sets: what to score, how to run it, and what to report."""
