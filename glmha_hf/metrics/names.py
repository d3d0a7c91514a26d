"""What scores and protocols are called where people read them, and with how many digits."""

import math

DECIMALS = {"psnr": 2, "ssim": 4, "mrae": 4, "rmse": 4, "sam": 3}
UNITS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "mrae": "MRAE", "rmse": "RMSE", "sam": "SAM (°)"}
TASK_OF_PROTOCOL = {
    "deraining": "Image deraining",
    "deblurring": "Motion deblurring",
    "denoising": "Image denoising",
    "ntire2022": "Spectral reconstruction from RGB",
    "cassi": "Snapshot compressive imaging",
}


def format_score(key: str, value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.{DECIMALS[key]}f}"
