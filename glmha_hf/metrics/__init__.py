"""Metrics that agree with the papers to the digit; `compare` scores as a named protocol does.

The single functions take NumPy arrays or torch tensors, give one value per leading index, and
carry no gradient. Nothing here imports torch until it is given a tensor.
"""

from pathlib import Path

from .fidelity import psnr, rgb_to_y, rmse
from .protocols import HIGHER_IS_BETTER, PROTOCOLS, Protocol, compare, get_protocol
from .scores import PictureScores, Scores
from .spectral import ergas, mrae, sam
from .structure import ssim, ssim_3d

EVALUATE_MODULE = str(Path(__file__).parent / "modules" / "restoration_scores")
"""Folder for `evaluate.load(EVALUATE_MODULE, "deraining")`, or any other protocol."""

__all__ = [
    "EVALUATE_MODULE",
    "HIGHER_IS_BETTER",
    "PROTOCOLS",
    "PictureScores",
    "Protocol",
    "Scores",
    "compare",
    "ergas",
    "get_protocol",
    "mrae",
    "psnr",
    "rgb_to_y",
    "rmse",
    "sam",
    "ssim",
    "ssim_3d",
]
