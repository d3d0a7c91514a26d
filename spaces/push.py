"""Put the Space together, and upload it: the page, the package and the weights that ship.

    python spaces/push.py OWNER/NAME            # creates the Space where there is none
    python spaces/push.py --folder build/space  # only puts it together

A Space installs its requirements before its files are there, so the package travels as a folder.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from huggingface_hub import HfApi

import glmha_hf
from glmha_hf.hub.errors import plainly_told

HERE = Path(__file__).parent
PACKAGE = Path(glmha_hf.__file__).parent
NAMES = ("app.py", "README.md", "requirements.txt", "pre-requirements.txt", "../LICENSE")


def assemble(folder: Path) -> Path:
    """All that the Space consists of, in a new folder."""
    folder.mkdir(parents=True)
    for name in NAMES:
        shutil.copyfile(HERE / name, folder / Path(name).name)
    private = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(PACKAGE, folder / "glmha_hf", ignore=private)
    return folder


def upload(folder: Path, space: str) -> str:
    """The address of the Space, whose files are then those of the folder and no others."""
    with plainly_told(space):
        api = HfApi()
        address = api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
        api.upload_folder(
            repo_id=space,
            repo_type="space",
            folder_path=folder,
            delete_patterns="*",
            commit_message=f"glmha_hf {glmha_hf.__version__}",
        )
    return str(address)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("space", nargs="?", metavar="OWNER/NAME", help="where to upload")
    parser.add_argument("--folder", type=Path, help="only put it together, in this new folder")
    options = parser.parse_args(arguments)
    if (options.space is None) == (options.folder is None):
        parser.error("give OWNER/NAME, or --folder FOLDER")
    try:
        if options.folder is not None:
            print(assemble(options.folder))
        else:
            with tempfile.TemporaryDirectory() as temporary:
                print(upload(assemble(Path(temporary, "space")), options.space))
    except (ValueError, OSError) as error:
        print(f"push: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
