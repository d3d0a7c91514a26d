"""Many files through one model: in batches of one size, bad files told and passed over."""

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..models.image_processing_picture import as_array
from .files import Job
from .frames import restore_animation
from .restoration import Restorer, as_pil, batches
from .saving import (
    PictureFacts,
    check_writable,
    format_of,
    read_facts,
    save_picture,
    without_pillow_limit,
)
from .tiling import Progress

# What a file, and not the program, can be blamed for; torch speaks of memory in RuntimeError.
FILE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, MemoryError, RuntimeError)


@dataclass
class Tally:
    restored: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Opened:
    job: Job
    facts: PictureFacts
    pixels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class FolderRun:
    """Restores jobs one after the other; a failure is told and does not stop the others."""

    restorer: Restorer
    max_pixels: int | None = None
    progress: Progress | None = None
    report: Callable[[str], object] = print
    tally: Tally = field(default_factory=Tally)

    def run(self, jobs: Sequence[Job]) -> Tally:
        for batch in batches(
            self._opened(jobs),
            size=lambda opened: (opened.pixels.shape[1], opened.pixels.shape[0]),
            batch_size=self.restorer.batch_size,
            in_order=True,
        ):
            self._restore(batch)
        return self.tally

    def _opened(self, jobs: Sequence[Job]) -> Iterator[Opened]:
        """Pictures as arrays; animations are done on the way."""
        for job in jobs:
            try:
                facts = read_facts(job.source, max_pixels=self.max_pixels)
                if facts.frames > 1:
                    with without_pillow_limit():
                        self._restore_animation(job, facts)
                    continue
                with without_pillow_limit():
                    opened = Opened(job, facts, as_array(job.source))
                check_writable(
                    opened.pixels, job.target, format=format_of(job.target, job.source, facts)
                )
            except FILE_ERRORS as error:
                self._fail(job, error)
                continue
            yield opened

    def _restore_animation(self, job: Job, facts: PictureFacts) -> None:
        format = format_of(job.target, job.source, facts)
        restore_animation(
            job.source, job.target, self.restorer, format=format, progress=self.progress
        )
        self.tally.restored += 1

    def _restore(self, batch: list[Opened]) -> None:
        try:
            restored = self.restorer.restore_batch(
                [opened.pixels for opened in batch], progress=self.progress
            )
        except FILE_ERRORS as error:
            for opened in batch:
                self._fail(opened.job, error)
            return
        for opened, pixels in zip(batch, restored, strict=True):
            try:
                self._save(opened, pixels)
            except FILE_ERRORS as error:
                self._fail(opened.job, error)

    def _save(self, opened: Opened, pixels: np.ndarray) -> None:
        job, facts = opened.job, opened.facts
        save_picture(
            as_pil(pixels),
            job.target,
            format=format_of(job.target, job.source, facts),
            metadata=facts.metadata,
        )
        self.tally.restored += 1

    def _fail(self, job: Job, error: BaseException) -> None:
        record_failure(job, error, tally=self.tally, report=self.report)


def record_failure(
    job: Job, error: BaseException, *, tally: Tally, report: Callable[[str], object]
) -> None:
    """Tells of a bad file; a full disk is nobody's fault but ends the run."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise OSError(f"{job.target}: {error.strerror}; nothing half-written is left") from None
    tally.failed.append(str(job.source))
    report(reason(job.source, error))


def reason(path: Path, error: BaseException) -> str:
    """One line that begins with the name of the file at fault."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or path}: {error.strerror}"
    return text if text.startswith(str(path)) else f"{path}: {text}"


def comparison_sheet(
    jobs: Sequence[Job], *, rows: int = 12, side: int = 512, gap: int = 8
) -> Image.Image:
    """Before on the left, after on the right, one row a picture, on white."""
    pairs = [
        [_thumbnail(path, side) for path in (job.source, job.target)]
        for job in jobs
        if job.target.is_file()
    ][:rows]
    if not pairs:
        raise ValueError("there is no restored picture to compare")
    heights = [max(picture.height for picture in pair) for pair in pairs]
    sheet = Image.new("RGB", (2 * side + 3 * gap, sum(heights) + gap * (len(pairs) + 1)), "white")
    top = gap
    for pair, height in zip(pairs, heights, strict=True):
        for column, picture in enumerate(pair):
            sheet.paste(picture, (gap + column * (side + gap) + (side - picture.width) // 2, top))
        top += height + gap
    return sheet


def _thumbnail(path: Path, side: int) -> Image.Image:
    with without_pillow_limit():
        pixels = as_array(path)
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    picture.thumbnail((side, side))
    return picture
