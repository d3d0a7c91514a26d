"""What `training/train.py` is made of; the loop itself stands there."""
