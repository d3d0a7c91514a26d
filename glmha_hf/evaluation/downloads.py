"""Where the benchmarks come from: what to fetch, how large it is, and how to lay it out.

Sizes stand only where they follow from the data's own shape; for the rest see the authors' page.
"""

from __future__ import annotations

from dataclasses import dataclass

RESTORMER = "https://github.com/swz30/Restormer"


@dataclass(frozen=True)
class Download:
    """One benchmark: the files, the page that offers them, their size, the layout."""

    files: str
    page: str
    size: str
    layout: tuple[str, ...]

    def advice(self, root: str) -> str:
        places = ", ".join(f"{root}/{each}" for each in self.layout)
        return f"get {self.files} from {self.page} ({self.size}) and lay it out as {places}"


UNKNOWN_SIZE = "size: see the authors' page"

DOWNLOADS: dict[str, Download] = {
    "deraining": Download(
        "the test sets Test100, Rain100H, Rain100L, Test1200 and Test2800",
        f"{RESTORMER}/tree/main/Deraining",
        UNKNOWN_SIZE,
        ("test/Rain100L/input/*.png", "test/Rain100L/target/*.png"),
    ),
    "deblurring": Download(
        "the test sets GoPro and HIDE",
        f"{RESTORMER}/tree/main/Motion_Deblurring",
        UNKNOWN_SIZE,
        ("test/GoPro/input/*.png", "test/GoPro/target/*.png"),
    ),
    "denoising": Download(
        "CBSD68, Kodak, McMaster, Urban100, Set12 or BSD68",
        f"{RESTORMER}/tree/main/Denoising",
        UNKNOWN_SIZE,
        ("test/CBSD68/*.png",),
    ),
    "sidd": Download(
        "ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat",
        "https://www.eecs.yorku.ca/~kamel/sidd/benchmark.php",
        "252 MB of pixels each, before compression",
        ("test/SIDD/ValidationNoisyBlocksSrgb.mat", "test/SIDD/ValidationGtBlocksSrgb.mat"),
    ),
    "ntire2022": Download(
        "ARAD-1K's Train_Spec, Train_RGB, their validation counterparts and split_txt",
        "https://github.com/caiyuanhao1998/MST-plus-plus",
        "31 MB of float32 a cube, before compression",
        (
            "Train_Spec/ARAD_1K_*.mat",
            "Train_RGB/ARAD_1K_*.jpg",
            "split_txt/valid_list.txt",
        ),
    ),
    "cassi": Download(
        "TSA_simu_data: mask.mat and the ten test scenes",
        "https://github.com/caiyuanhao1998/MST",
        "15 MB of float64 a scene, before compression",
        ("mask.mat", "Truth/scene01.mat ... scene10.mat"),
    ),
}
