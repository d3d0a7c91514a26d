"""On-the-fly degradations: seeded callables from a clean picture to a degraded one."""

from .base import Degradation
from .blur import MotionBlur
from .compression import Jpeg
from .noise import (
    GaussianNoise,
    PoissonGaussianNoise,
    benchmark_noise,
)
from .rain import Rain
from .validation_rain import ValidationRain

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
