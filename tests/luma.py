"""How much of a picture a degradation leaves, as deraining is scored."""

import numpy as np

from glmha_hf.data.degradations.base import Picture, to_eight_bit
from glmha_hf.metrics import psnr, rgb_to_y


def luma_psnr(degraded: Picture, clean: Picture) -> float:
    """Y-PSNR in dB of what a picture file would hold."""
    first, second = (rgb_to_y(to_eight_bit(np.asarray(each))) for each in (degraded, clean))
    return float(psnr(first, second))
