"""On-the-fly degradations: seeded callables from a clean picture to a degraded one."""

from glmha_hf.data.degradations.base import Degradation
from glmha_hf.data.degradations.blur import MotionBlur
from glmha_hf.data.degradations.compression import Jpeg
from glmha_hf.data.degradations.noise import (
    GaussianNoise,
    PoissonGaussianNoise,
    benchmark_noise,
)
from glmha_hf.data.degradations.rain import Rain
from glmha_hf.data.degradations.validation_rain import ValidationRain

__all__ = [
    "DEGRADATIONS",
    "Degradation",
    "GaussianNoise",
    "Jpeg",
    "MotionBlur",
    "PoissonGaussianNoise",
    "Rain",
    "ValidationRain",
    "benchmark_noise",
]

DEGRADATIONS: dict[str, type[Degradation]] = {
    "rain": Rain,
    "validation_rain": ValidationRain,
    "motion_blur": MotionBlur,
    "gaussian_noise": GaussianNoise,
    "poisson_gaussian_noise": PoissonGaussianNoise,
    "jpeg": Jpeg,
}
