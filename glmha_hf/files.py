"""Files and folders that appear by rename when they are complete, and never by halves."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder that takes this one's place if nothing goes wrong, and is gone else.

    With `overwrite` it may take the place of a model's folder, but of nobody's photographs.
    """
    _check_replaceable(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    unfinished, before = beside / "unfinished", beside / "before"
    try:
        unfinished.mkdir()
        yield unfinished
        if folder.exists():
            folder.replace(before)
        try:
            unfinished.replace(folder)
        except OSError:
            if before.exists():
                before.replace(folder)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_replaceable(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists():
        return
    if Path.cwd().is_relative_to(folder.resolve()):
        raise ValueError(f"{folder} holds the folder this runs in: name one of its own")
    if not overwrite:
        raise FileExistsError(f"{folder} exists; say overwrite to replace it")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "config.json").exists():
        raise FileExistsError(f"{folder} holds no model and is not replaced: name another folder")


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """A new file beside `path` that takes its place if nothing goes wrong, and is gone else.

    Each writer has a name of its own: of two that write one path, the last one's is there, whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
