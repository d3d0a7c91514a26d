"""Training from a stream: whole runs, resumption, shares of processes."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from glmha_hf.training.recipe import load_recipe
from glmha_hf.training.sources import open_training
from glmha_hf.training.streaming import StreamedBatches
from glmha_hf.training.typed import RecipeError

from .conftest import Train, losses


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits seconds for its threads whenever a shuffled epoch ends; these are short."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """Three Parquet shards, seven rows in all."""
    folder = tmp_path_factory.mktemp("shards")
    files = sorted((photographs / "train").iterdir()) + sorted((photographs / "test").iterdir())[:2]
    rows = []
    for path in files:
        turned = io.BytesIO()
        with Image.open(path) as clean:
            clean.transpose(Image.Transpose.ROTATE_180).save(turned, "png")
        encoded = {"input": turned.getvalue(), "target": path.read_bytes()}
        rows.append({role: {"bytes": each, "path": None} for role, each in encoded.items()})
    features = datasets.Features({role: datasets.Image() for role in ("input", "target")})
    table = datasets.Dataset.from_list(rows, features=features)
    for number in range(3):
        shard = table.shard(3, number, contiguous=True)
        shard.to_parquet(folder / f"train-{number:05d}-of-00003.parquet")
    return folder


@pytest.fixture
def options(shards: Path) -> list[str]:
    return [
        f"data.root={shards}", "data.kind=hub", "data.streaming=true", "data.degradation=null",
        "data.shuffle_buffer=4", "validation=null",
    ]  # fmt: skip


def process(rank: int = 0, processes: int = 1) -> SimpleNamespace:
    return SimpleNamespace(process_index=rank, num_processes=processes, device=torch.device("cpu"))


def batches(
    tiny_recipe: Path, options: list[str], *, start: int = 0, rank: int = 0, processes: int = 1
) -> StreamedBatches:
    recipe = load_recipe(tiny_recipe, options)
    dataset = open_training(recipe, check=True)
    return StreamedBatches(dataset, recipe, process(rank, processes), start=start)


def test_a_stream_trains_and_resumes_equal(
    tiny_recipe: Path, options: list[str], tmp_path: Path, train: Train, script,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert train(tiny_recipe, f"output={tmp_path / 'unbroken'}", *options) == 0
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "log.jsonl").touch()
    with monkeypatch.context() as patched:
        over = property(lambda _: (tmp_path / "broken" / "log.jsonl").read_text().count("\n") >= 6)
        patched.setattr(script.Clock, "is_over", over)
        assert train(tiny_recipe, f"output={tmp_path / 'broken'}", *options) == 0
    assert len(losses(tmp_path / "broken")) == 7
    assert train(tiny_recipe, f"output={tmp_path / 'broken'}", "resume=true", *options) == 0
    assert losses(tmp_path / "broken") == losses(tmp_path / "unbroken")
    first, second = (
        load_file(tmp_path / name / "last" / "model.safetensors") for name in ("broken", "unbroken")
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("start", [1, 5, 6, 9, 11])
def test_a_resumed_stream_gives_what_was_still_to_come(
    tiny_recipe: Path, options: list[str], start: int
) -> None:
    whole = list(batches(tiny_recipe, options))
    rest = list(batches(tiny_recipe, options, start=start))
    assert [batch.iteration for batch in whole] == list(range(12))
    assert [batch.iteration for batch in rest] == list(range(start, 12))
    for one, other in zip(whole[start:], rest, strict=True):
        torch.testing.assert_close(one.pieces, other.pieces, rtol=0, atol=0)


def test_patches_and_batches_follow_the_stages(tiny_recipe: Path, options: list[str]) -> None:
    shapes = [batch.pieces[0]["labels"].shape for batch in batches(tiny_recipe, options)]
    assert shapes == [(4, 3, 16, 16)] * 6 + [(3, 3, 24, 24)] * 6
    cut = [*options, "run.largest_batch=3"]
    pieces = [
        [len(piece["labels"]) for piece in batch.pieces] for batch in batches(tiny_recipe, cut)
    ]
    assert pieces == [[2, 2]] * 6 + [[1, 1, 1]] * 6  # as many pixels at once


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_change_nothing(tiny_recipe: Path, options: list[str], workers: int) -> None:
    alone = list(batches(tiny_recipe, options))
    others = list(batches(tiny_recipe, [*options, f"data.workers={workers}"]))
    for one, other in zip(alone, others, strict=True):
        torch.testing.assert_close(one.pieces, other.pieces, rtol=0, atol=0)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_share_the_rows(tiny_recipe: Path, options: list[str], processes: int) -> None:
    seen = []
    for rank in range(processes):
        streamed = batches(tiny_recipe, options, rank=rank, processes=processes)
        rows = list(islice(streamed.rows(), 12))
        seen += [row.values["target"]["bytes"] for row in rows if row.epoch == 0]
    assert len(seen) == len(set(seen)) == 7


def test_every_epoch_has_its_own_order(tiny_recipe: Path, options: list[str]) -> None:
    rows = list(islice(batches(tiny_recipe, options).rows(), 21))
    orders = [
        [row.values["target"]["bytes"] for row in rows if row.epoch == epoch] for epoch in range(3)
    ]
    assert set(orders[0]) == set(orders[1]) == set(orders[2])
    assert orders[0] != orders[1]


@pytest.mark.parametrize("override", ["data.mixup=0.5", "data.kind=pairs"])
def test_what_does_not_go_with_streaming_is_refused(
    tiny_recipe: Path, options: list[str], override: str
) -> None:
    with pytest.raises(RecipeError, match="streaming is for data of kind hub"):
        load_recipe(tiny_recipe, [*options, override])


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("start", [3, 9, 15])
def test_unequal_shards_are_resumed_where_they_were(
    tiny_recipe: Path, options: list[str], tmp_path: Path, rank: int, start: int
) -> None:
    image = io.BytesIO()
    Image.new("RGB", (16, 16)).save(image, "png")
    features = datasets.Features({role: datasets.Image() for role in ("input", "target")})
    for number, rows in enumerate((3, 9, 5, 7)):
        row = {role: {"bytes": image.getvalue(), "path": None} for role in ("input", "target")}
        shard = datasets.Dataset.from_list([row] * rows, features=features)
        shard.to_parquet(tmp_path / f"train-{number:05d}-of-00004.parquet")
    here = [*options, f"data.root={tmp_path}"]
    streamed = batches(tiny_recipe, here, rank=rank, processes=2)
    whole = [row.epoch for row in islice(streamed.rows(), 60)]
    again = batches(tiny_recipe, here, rank=rank, processes=2)
    assert [row.epoch for row in islice(again.rows(skip=2 * start), 60 - 2 * start)] == whole[
        2 * start :
    ]
