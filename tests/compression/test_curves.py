"""Curves of loss against rank: they fall to nothing, and tell which blocks matter."""

import pytest
import torch

from glmha_hf.compression.blocks import blocks_of
from glmha_hf.compression.curves import measure_curves

from .conftest import inputs_of, teacher_of


def curves_of(teacher, inputs):
    return measure_curves(teacher, inputs, report=lambda line: None)


@pytest.mark.parametrize("form", ["restormer_short", "mst", "mst_plus_plus_cassi"])
def test_every_block_has_a_curve_that_falls_to_zero(form) -> None:
    teacher = teacher_of(form)
    inputs = inputs_of(teacher, side=16)
    with torch.no_grad():
        before = teacher(**inputs).reconstruction
        curves = curves_of(teacher, inputs)
        after = teacher(**inputs).reconstruction
    assert torch.equal(before, after)
    assert [curve.level for curve in curves] == teacher.config.block_levels
    for curve, block in zip(curves, blocks_of(teacher), strict=True):
        assert curve.head_channels == block.attention.mixer.head_channels
        assert list(curve.losses) == sorted(curve.losses, reverse=True)
        assert curve.losses[0] > curve.losses[-1] == 0


def test_a_block_whose_attention_goes_nowhere_costs_nothing_to_cut() -> None:
    teacher = teacher_of("restormer_short")
    torch.nn.init.zeros_(blocks_of(teacher)[1].attention.project_out.weight)
    curves = curves_of(teacher, inputs_of(teacher, side=16))
    assert max(curves[1].losses) == 0
    assert max(curves[2].losses) > 0


def test_what_comes_through_louder_loses_more() -> None:
    """Twice the output projection, four times the squared error, where nothing follows but sums."""
    teacher = teacher_of("restormer_short")
    last = blocks_of(teacher)[-1]
    torch.nn.init.zeros_(last.feed_forward.project_out.weight)
    inputs = inputs_of(teacher, side=16)
    quiet = curves_of(teacher, inputs)[-1].losses
    with torch.no_grad():
        last.attention.project_out.weight.mul_(2)
    loud = curves_of(teacher, inputs)[-1].losses
    assert loud == pytest.approx([4 * each for each in quiet], rel=1e-3)
