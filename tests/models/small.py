"""Small models of every form, for tests that run each of them."""

import torch

from glmha_hf import MstConfig, MstPlusPlusConfig, RestormerConfig
from glmha_hf.registration import model_class_of

SMALL_CONFIGS = {
    "restormer": lambda **fields: RestormerConfig(
        dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, num_heads=(1, 2, 2, 4), **fields
    ),
    "restormer_features": lambda **fields: RestormerConfig(
        in_channels=6,
        dim=8,
        num_blocks=(1, 1),
        num_refinement_blocks=1,
        num_heads=(1, 2),
        skip="features",
        norm="bias_free",
        **fields,
    ),
    "mst": lambda **fields: MstConfig(
        in_channels=6, out_channels=6, dim=6, num_blocks=(1, 1, 1), **fields
    ),
    "mst_rgb": lambda **fields: MstConfig(
        in_channels=3, out_channels=6, dim=6, num_blocks=(1, 1), guidance="learned", **fields
    ),
    "mst_plus_plus": lambda **fields: MstPlusPlusConfig(
        out_channels=7, dim=7, num_stages=2, **fields
    ),
    "mst_plus_plus_cassi": lambda **fields: MstPlusPlusConfig(
        in_channels=6, out_channels=6, dim=6, num_stages=1, mask_input=True, **fields
    ),
}


def small_model(form, seed=0, **fields):
    """A small model of one form, in evaluation mode, the same for the same seed."""
    torch.manual_seed(seed)
    return model_class_of(config := SMALL_CONFIGS[form](**fields))(config).eval()


def random_inputs(model, height, width, batch=1):
    """Uniform random inputs of the form that the model takes."""
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(batch, *zeros.shape[1:], generator=generator)
        for name, zeros in model.example_inputs(height, width).items()
    }
