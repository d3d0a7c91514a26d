"""Cut large pictures into overlapping crops once, as GoPro and the denoisers' DFWB are prepared.

    python training/crop.py GoPro/input GoPro/target -o FOLDER/train/GoPro
    python training/crop.py DFWB -o FOLDER/train/DFWB --overlap 96 --only-above 800

Training then decodes a crop for a patch, and not a whole picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from glmha_hf.data.crops import write_crops
from glmha_hf.data.pairs import CleanFolder, FolderPairs


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Cut pictures, or pairs of them, into overlapping crops.",
        epilog="Writes input_crops and target_crops, of clean pictures target_crops alone.",
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="clean pictures, or INPUT TARGET"
    )
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder to write to")
    parser.add_argument("--size", type=int, default=512, help="side of a crop (512)")
    parser.add_argument("--overlap", type=int, default=256, help="pixels that neighbours share")
    parser.add_argument(
        "--only-above", type=int, default=0, metavar="SIDE", help="keep smaller pictures whole"
    )
    chosen = parser.parse_args(arguments)
    if len(chosen.folders) > 2:
        parser.error("give one folder of clean pictures, or the inputs' and the targets'")
    return chosen


def open_pictures(folders: list[Path]) -> FolderPairs | CleanFolder:
    source = FolderPairs(*folders) if len(folders) == 2 else CleanFolder(*folders)
    if isinstance(source, FolderPairs) and source.unmatched:
        raise ValueError(source.unmatched[0])
    if not len(source):
        raise ValueError(f"no pictures in {folders[0]}")
    return source


def main(arguments: list[str] | None = None) -> int:
    chosen = parse_arguments(arguments)
    try:
        source = (
            FolderPairs(*chosen.folders)
            if len(chosen.folders) == 2
            else CleanFolder(*chosen.folders)
        )
        lonely = getattr(source, "unmatched", [])
        if lonely or not len(source):
            raise ValueError(lonely[0] if lonely else f"no pictures in {chosen.folders[0]}")
        count = write_crops(
            source,
            chosen.output,
            size=chosen.size,
            overlap=chosen.overlap,
            only_above=chosen.only_above,
            places=tqdm(range(len(source)), unit="picture"),
        )
    except (OSError, ValueError) as error:
        print(f"crop: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("crop: interrupted; the same command writes all of it anew", file=sys.stderr)
        return 130
    print(f"{chosen.output}: {count} crops of {len(source)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
