import os

# Threads that spin while they wait slow each other down on a machine that others use as well.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is imported

from glmha_hf.demo.app import launch

launch()
