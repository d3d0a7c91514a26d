"""What holds for every metric: batches, tensors, and arrays that do not belong together."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from glmha_hf.metrics import ergas, mrae, psnr, rmse, sam, ssim, ssim_3d

METRICS = [psnr, rmse, mrae, sam, ergas, ssim, ssim_3d]


@pytest.fixture
def batches(rng):
    reference = rng.uniform(0.1, 0.9, (2, 3, 4, 14, 16)).astype(np.float32)
    return reference + rng.normal(0, 0.05, reference.shape).astype(np.float32), reference


@pytest.mark.parametrize("metric", METRICS)
def test_a_batch_gives_each_item_its_own_score(batches, metric):
    scores = metric(*batches)
    assert scores.shape[:2] == (2, 3)
    for index in np.ndindex(2, 3):
        single = metric(*(batch[index] for batch in batches))
        assert np.array_equal(scores[index], single)


@pytest.mark.parametrize("metric", METRICS)
def test_tensors_give_the_same_numbers_as_arrays(batches, metric):
    scores = metric(*(torch.from_numpy(batch) for batch in batches))
    assert isinstance(scores, torch.Tensor)
    assert scores.dtype == torch.float64
    assert np.array_equal(scores.numpy(), metric(*batches))


@pytest.mark.parametrize("metric", METRICS)
def test_layout_in_memory_does_not_matter(batches, metric):
    turned = [np.ascontiguousarray(batch.T).T for batch in batches]
    assert not turned[0].flags.c_contiguous
    assert np.array_equal(metric(*turned), metric(*batches))


def test_bfloat16_that_needs_a_gradient():
    ones = torch.ones(3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    assert rmse(ones, torch.zeros(3, 4, 4)).item() == 1.0


@pytest.mark.parametrize("metric", METRICS)
def test_other_shapes_are_never_broadcast(metric):
    with pytest.raises(ValueError, match="prediction is 3×12×12 and the reference 1×12×12"):
        metric(np.ones((3, 12, 12)), np.ones((1, 12, 12)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones((0, 3)), "the arrays are empty"),
        (np.ones((3, 3), bool), "the prediction is bool: give integers or real floats"),
        ([[1.0]], "a list cannot be scored: give a NumPy array or a torch tensor"),
    ],
)
def test_what_cannot_be_scored_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        psnr(wrong, wrong)


def test_arrays_are_scored_without_torch():
    script = (
        "import sys, numpy as np; from glmha_hf.metrics import compare; "
        "x = np.zeros((12, 12, 3), np.uint8); compare(x, x, 'deraining'); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
