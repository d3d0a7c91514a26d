import pytest
import torch

from glmha_hf.inference.local_statistics import local_statistics
from tests.models.small import random_inputs, small_model

FORMS = ["restormer", "mst", "mst_plus_plus"]


@pytest.mark.parametrize("attention", ["csa", "glmha", "linformer"])
@pytest.mark.parametrize("form", FORMS)
def test_a_picture_of_one_window_is_as_ever(form, attention):
    model = small_model(form, attention=attention)
    inputs = random_inputs(model, 64, 48)
    local = local_statistics(model, window=64)
    with torch.no_grad():
        expected = model(**inputs).reconstruction
        torch.testing.assert_close(local(**inputs).reconstruction, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", ["csa", "glmha"])
def test_far_pixels_no_longer_matter_to_the_statistics(attention):
    model = small_model("restormer", attention=attention)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "depthwise.weight" in name and "calibration" not in name:
                parameter[..., [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    inputs = random_inputs(model, 64, 384)
    changed = {"pixel_values": inputs["pixel_values"].clone()}
    changed["pixel_values"][..., 320:] = 0
    local = local_statistics(model, window=64)
    with torch.no_grad():
        near = slice(0, 64)
        for network, moves in ((model, True), (local, False)):
            before, after = (network(**one).reconstruction[..., near] for one in (inputs, changed))
            assert bool((before - after).abs().max() > 1e-6) == moves


def test_the_model_itself_is_left_alone():
    model = small_model("restormer")
    inputs = random_inputs(model, 80, 80)
    with torch.no_grad():
        before = model(**inputs).reconstruction
        local_statistics(model, window=64)(**inputs)
        assert torch.equal(model(**inputs).reconstruction, before)


def test_a_window_too_small_for_the_deepest_level_is_refused():
    with pytest.raises(ValueError, match="must be at least 64"):
        local_statistics(small_model("restormer"), window=32)


def test_an_exported_model_is_refused():
    with pytest.raises(ValueError, match="not an exported one"):
        local_statistics(object(), window=64)
