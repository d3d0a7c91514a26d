"""Hyperspectral scenes out of photographs: measured materials under measured light."""
