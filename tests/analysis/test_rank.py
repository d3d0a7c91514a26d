import numpy as np
import pytest
import torch

from glmha_hf.analysis.rank import (
    attention_spectra,
    cumulative_energy,
    effective_rank,
    level_ranks,
    rank_table,
    suggested_reduction,
)
from tests.models.small import random_inputs, small_model


def test_the_energy_of_a_known_map():
    attention = torch.diag(torch.tensor([3.0, 4.0, 0.0])).expand(2, 1, 3, 3)
    shares = cumulative_energy(attention)
    np.testing.assert_allclose(shares, [[16 / 25, 1, 1]] * 2)
    np.testing.assert_array_equal(effective_rank(shares, 0.64), [1, 1])
    np.testing.assert_array_equal(effective_rank(shares, 0.9), [2, 2])


@pytest.mark.parametrize("form", ["restormer", "mst", "mst_plus_plus_cassi"])
@pytest.mark.parametrize("attention", ["csa", "glmha"])
def test_every_block_of_every_backbone(form, attention):
    model = small_model(form, attention=attention)
    inputs = [random_inputs(model, 16, 16), random_inputs(model, 24, 16)]
    spectra = attention_spectra(model, inputs)
    assert [spectrum.level for spectrum in spectra] == model.config.block_levels
    for spectrum, settings in zip(spectra, model.config.block_settings(), strict=True):
        rank = settings.rank(spectrum.head_channels) if attention == "glmha" else None
        assert len(spectrum.cumulative) == (rank or spectrum.head_channels)
        assert spectrum.cumulative[-1] == pytest.approx(1)
        assert (np.diff(spectrum.cumulative) > -1e-12).all()
        assert 1 <= spectrum.ranks[0.9] <= spectrum.ranks[0.99] <= len(spectrum.cumulative)


def test_the_mean_is_over_the_pictures():
    model = small_model("restormer")
    first, second = (random_inputs(model, side, 16) for side in (16, 24))
    apart = [attention_spectra(model, [each])[0].cumulative for each in (first, second)]
    together = attention_spectra(model, [first, second])[0].cumulative
    np.testing.assert_allclose(together, np.mean(apart, axis=0))


def test_a_level_is_as_demanding_as_its_worst_block():
    spectra = attention_spectra(model := small_model("restormer"), [random_inputs(model, 16, 16)])
    ranks = level_ranks(spectra)
    assert [each.level for each in ranks] == [0, 1, 2, 3]
    first = [spectrum for spectrum in spectra if spectrum.level == 0]
    assert ranks[0].blocks == len(first) == 3
    shares = [spectrum.rank_share(0.95) for spectrum in first]
    assert ranks[0].most[0.95].rank_share(0.95) == max(shares)
    assert ranks[0].kv_reductions[0.95] <= 1 - max(shares)
    header, rows = rank_table(ranks)
    assert len(header) == len(rows[0]) == 8


@pytest.mark.parametrize(("rank", "channels"), [(1, 48), (3.2, 31), (16, 31), (47.5, 48), (7, 9)])
def test_the_suggested_reduction_leaves_the_rank(rank, channels):
    from glmha_hf.models.configuration_attention import AttentionSettings

    reduction = suggested_reduction(rank, channels)
    kept = AttentionSettings(kv_reduction=reduction).rank(channels)
    assert rank <= kept <= rank + 2


def test_no_picture_is_no_spectrum():
    with pytest.raises(ValueError, match="no picture"):
        attention_spectra(small_model("restormer"), [])
