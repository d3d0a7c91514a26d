"""What `training/compare.py` calls: cells of a comparison, their results, and the report."""
