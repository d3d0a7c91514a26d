"""The forward model on the published simulation mask, against the papers' formulas.

The mask is the 256×256 one that TSA-Net, MST (MIT licence) and those after them simulate with.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from glmha_hf.convert.conversion import processor_for
from glmha_hf.data.cassi import CassiSystem
from glmha_hf.models.configuration_mst import MstConfig
from glmha_hf.models.configuration_mst_plus_plus import MstPlusPlusConfig

MASK = Path(__file__).parent / "published" / "cassi_mask.mat"


@pytest.fixture(scope="module")
def system():
    return CassiSystem.from_file(MASK)


@pytest.fixture(scope="module")
def scene():
    return np.random.default_rng(0).random((28, 256, 256)).astype(np.float32)


def published_measurement(scene, mask):
    """In float64. MST, Eqs. 1-3: F'(:,:,n) = F(:,:,n)⊙M*; F''(u,v,n) = F'(x, y + d(λn - λc), n),
    two columns a band; G = Σ F''. The code does it by rolling a wider array."""
    coded = scene.astype(np.float64) * mask
    wide = np.pad(coded, ((0, 0), (0, 0), (0, 2 * 27)))
    return sum(np.roll(wide[band], 2 * band, axis=1) for band in range(28))


def test_the_mask_is_read_as_it_is(system):
    assert system.mask.shape == (256, 256)
    assert 0 < system.mask.min() < 0.01
    assert system.mask.max() == 1


def test_the_measurement_is_the_papers(system, scene):
    expected = published_measurement(scene, system.mask.double().numpy())
    found = system.measure(torch.from_numpy(scene)).numpy()
    assert found.shape == (256, 310)
    assert np.abs(found - expected).max() <= 1e-6 * expected.max()
    exact = system.measure(torch.from_numpy(scene).double()).numpy()
    np.testing.assert_allclose(exact, expected, rtol=1e-12)


def test_the_shifted_mask_is_the_papers(system):
    """`mask_3d_shift[:, :, t]` is the mask on 256 of 310 columns, rolled by 2t."""
    mask = np.pad(system.mask.numpy(), ((0, 0), (0, 54)))
    expected = np.stack([np.roll(mask, 2 * band, axis=1) for band in range(28)])
    np.testing.assert_array_equal(system.shifted_mask.numpy(), expected)


def test_the_adjoint_satisfies_the_inner_product_identity(system, scene):
    cube = torch.from_numpy(scene).double()
    sensor = torch.rand(256, 310, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    forward = (system.measure(cube) * sensor).sum()
    torch.testing.assert_close(forward, (cube * system.adjoint(sensor)).sum(), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "config",
    [
        MstConfig(num_blocks=(1, 1)),
        MstPlusPlusConfig(in_channels=28, out_channels=28, dim=28, mask_input=True),
    ],
)
def test_the_processors_make_what_training_saw(system, scene, config):
    """The shifted-back measurement, and the mask in the form of the model."""
    snapshot = system.measure(torch.from_numpy(scene))
    inputs = processor_for(config)(snapshot, mask=system.mask)
    torch.testing.assert_close(inputs["pixel_values"][0], system.model_input(snapshot))
    shifted = config.model_type == "mst"
    expected = system.shifted_mask if shifted else system.mask.expand(28, -1, -1)
    torch.testing.assert_close(inputs["mask"][0], expected)
