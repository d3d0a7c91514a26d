"""What a head's output becomes with fewer keys, against dense solutions."""

import pytest
import torch

from glmha_hf.compression.blocks import (
    attended_features,
    blocks_of,
    output_weight,
    queries_keys_values,
)
from glmha_hf.compression.keys import Head, heads_of, order_keys, reduced_maps

from .conftest import teacher_of


@pytest.fixture
def head() -> Head:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(4, 5, 5, generator=generator, dtype=torch.float64).softmax(-1)
    values, output = (torch.randn(5, n, generator=generator, dtype=torch.float64) for n in (9, 7))
    return Head(maps, values @ values.T, output @ output.T)


def test_the_fit_is_the_dense_least_squares_solution(head: Head) -> None:
    kept = torch.tensor([0, 2, 3])
    value = torch.linalg.cholesky(head.values)  # any square root will do
    output = torch.linalg.cholesky(head.output).T
    reduced = reduced_maps(head.maps, kept)
    # W A' M V as a matrix on vec(M), the pictures one below another.
    system = torch.cat([torch.kron(output @ each, value.T.contiguous()) for each in reduced])
    target = torch.cat([(output @ each @ value).flatten() for each in head.maps])
    dense = torch.linalg.lstsq(system, target[:, None]).solution
    error, mixing = head.fit(kept)
    torch.testing.assert_close(mixing, dense.view(3, 5))
    left = (system @ dense - target[:, None]).square().sum() / len(head.maps)
    torch.testing.assert_close(error, left)


def test_many_sets_of_keys_are_fitted_at_once(head: Head) -> None:
    sets = torch.tensor([[0, 1], [2, 4], [1, 3]])
    errors, _ = head.fit(sets)
    torch.testing.assert_close(errors, torch.stack([head.fit(each)[0] for each in sets]))


def test_the_softmax_over_some_keys_is_the_map_s_columns_rescaled() -> None:
    scores = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1))
    kept = torch.tensor([1, 4])
    torch.testing.assert_close(
        reduced_maps(scores.softmax(-1), kept), scores[..., kept].softmax(-1)
    )


def test_keys_that_say_the_same_go_first() -> None:
    maps = torch.tensor([[[4.0, 1, 1, 0.3], [1, 3, 3, 0.2], [0.2, 1, 1, 3], [1, 2, 2, 4]]]).double()
    maps = maps / maps.sum(-1, keepdim=True)
    order = order_keys(Head(maps, torch.eye(4).double(), torch.eye(4).double()))
    assert order.keys[-1] in (1, 2)  # one of the two equal columns
    assert order.errors[1] > 10 * order.errors[2]


def test_an_order_has_every_key_once_and_errors_that_fall(head: Head) -> None:
    order = order_keys(head)
    assert sorted(order.keys) == [0, 1, 2, 3, 4]
    assert order.errors[-1] == 0
    assert list(order.errors) == sorted(order.errors, reverse=True)
    for rank in range(1, 5):
        assert order.errors[rank - 1] == pytest.approx(float(head.fit(order.kept(rank))[0]))


@pytest.mark.parametrize("form", ["restormer", "mst_plus_plus"])
def test_a_head_s_statistics_stand_for_its_pixels(form) -> None:
    """Of one picture, the error is what the output projection makes of A·V - A'·M·V."""
    block = blocks_of(teacher_of(form))[0]
    channels = block.attention.query.weight.shape[1] if form != "restormer" else 8
    x = torch.randn(1, channels, 8, 8, generator=torch.Generator().manual_seed(2))
    (head,) = heads_of(block, x, ())
    kept = torch.tensor([0, 2])
    error, mixing = head.fit(kept)
    value = queries_keys_values(block.attention, attended_features(block, x), ())[2][0, 0].double()
    missed = (head.maps[0] - reduced_maps(head.maps, kept)[0] @ mixing) @ value
    weight = output_weight(block.attention).double()
    assert float(error) == pytest.approx(float((weight @ missed).square().sum()), rel=1e-5)
