import os

# Threads that spin for long slow each other down on a machine that others use as well.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # read when torch is imported

from glmha_hf.demo.app import launch

launch()
