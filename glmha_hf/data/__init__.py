"""Datasets, degradations and imaging models: everything that becomes a training pair."""
