"""The `evaluate` module is a thin wrapper: same scores, scalars only, any number of processes."""

import multiprocessing

import numpy as np
import pytest

from glmha_hf.metrics import EVALUATE_MODULE, Scores, compare

evaluate = pytest.importorskip("evaluate")


def load(protocol, cache_dir, **options):
    return evaluate.load(EVALUATE_MODULE, protocol, cache_dir=str(cache_dir), **options)


def pictures(count=7):
    """Pairs of all different sizes."""
    rng = np.random.default_rng(1)
    for index in range(count):
        yield tuple(rng.integers(0, 256, (2, 12 + index, 20, 3), dtype=np.uint8))


@pytest.fixture
def expected():
    scores = Scores("deraining")
    for index, pair in enumerate(pictures()):
        scores.add(*pair, index=index)
    return {**scores.mean(), "pictures": 7}


def test_picture_by_picture(tmp_path, expected):
    module = load("deraining", tmp_path)
    for restored, target in pictures():
        module.add(prediction=restored, reference=target)
    assert module.compute() == expected


def test_in_batches(tmp_path, expected):
    module = load("deraining", tmp_path)
    pairs = list(pictures())
    for batch in (pairs[:3], pairs[3:]):
        predictions, references = zip(*batch, strict=True)
        module.add_batch(predictions=predictions, references=references)
    assert module.compute() == expected


def test_all_at_once_and_again(tmp_path, expected):
    module = load("deraining", tmp_path)
    predictions, references = zip(*pictures(), strict=True)
    for _ in range(2):
        assert module.compute(predictions=predictions, references=references) == expected


def test_cubes(tmp_path, cube_pair):
    module = load("cassi", tmp_path)
    module.add(prediction=cube_pair[0], reference=cube_pair[1])
    assert module.compute() == {**compare(*cube_pair, protocol="cassi"), "pictures": 1}


def test_the_worst_pictures_are_named(tmp_path, picture_pair):
    module = load("denoising", tmp_path)
    restored, target = picture_pair
    half = ((restored.astype(int) + target) // 2).astype(np.uint8)
    module.add_batch(
        predictions=[half, restored], references=[target, target], names=["a", "b"], indices=[4, 2]
    )
    assert module.compute(worst=1)["worst"] == [
        {"index": 2, "name": "b", **compare(restored, target, protocol="denoising")}
    ]


def test_combined_with_another_protocol(tmp_path, picture_pair):
    both = evaluate.combine(
        {name: load(name, tmp_path) for name in ("deraining", "denoising")}, force_prefix=True
    )
    both.add(prediction=picture_pair[0], reference=picture_pair[1])
    result = both.compute()
    for name in ("deraining", "denoising"):
        assert result[f"{name}_psnr"] == compare(*picture_pair, protocol=name)["psnr"]


def test_only_scalars_reach_the_disk(tmp_path, rng):
    module = load("denoising", tmp_path)
    pair = rng.integers(0, 256, (2, 400, 400, 3), dtype=np.uint8)
    for index in range(20):
        module.add(prediction=pair[0], reference=pair[1], index=index)
    module._finalize()
    written = sum(file.stat().st_size for file in tmp_path.rglob("*.arrow"))
    assert 0 < written < 20_000


def score_share(rank, processes, cache_dir, experiment):
    """One process of three; the last one has no picture, and picture 0 is scored twice."""
    module = load(
        "deraining", cache_dir, num_process=processes, process_id=rank, experiment_id=experiment
    )
    for index, (restored, target) in enumerate(pictures()):
        if rank < 2 and (index % 2 == rank or index == 0):
            module.add(prediction=restored, reference=target, index=index)
    return module.compute()


def report_share(queue, *arguments):
    queue.put(score_share(*arguments))


def test_in_three_processes_the_first_gets_the_means(tmp_path, expected):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    others = [
        context.Process(target=report_share, args=(queue, rank, 3, str(tmp_path), "shared"))
        for rank in (1, 2)
    ]
    for process in others:
        process.start()
    assert score_share(0, 3, str(tmp_path), "shared") == expected
    assert [queue.get(timeout=60) for _ in others] == [None, None]
    for process in others:
        process.join()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda module: module.compute(), "no picture has been scored"),
        (lambda module: module.add_batch(predictions=[1]), "give both predictions and references"),
        (lambda module: module.add_batch(predictions=[1], references=[]), "must be as many"),
        (lambda module: module.add(prediction=1, target=2), r"unknown arguments \['target'\]"),
        (lambda module: module.add(prediction=1, reference=2), "a int cannot be scored"),
    ],
)
def test_misuse_gets_one_clear_line(tmp_path, action, message):
    with pytest.raises(ValueError, match=message):
        action(load("deraining", tmp_path))


@pytest.mark.parametrize(
    ("protocol", "message"),
    [(None, "name the protocol .*deraining"), ("derain", "no protocol called 'derain'")],
)
def test_the_protocol_must_be_named(tmp_path, protocol, message):
    with pytest.raises(ValueError, match=message):
        load(protocol, tmp_path)
