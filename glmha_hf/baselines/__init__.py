"""What a spectral model has to beat: regressions from RGB, and GAP-TV for CASSI snapshots."""
