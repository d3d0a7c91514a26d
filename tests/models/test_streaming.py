import copy
from concurrent.futures import ThreadPoolExecutor
from functools import partialmethod

import pytest
import torch
from torch import nn

from glmha_hf.models import windows
from glmha_hf.models.attention import MIXERS, build_mixer
from glmha_hf.models.configuration_attention import AttentionSettings
from glmha_hf.models.layers import ChannelNorm
from glmha_hf.models.streaming import QueryKeySums, Workspace, normalised
from glmha_hf.models.windows import Window
from tests.models.small import SMALL_CONFIGS, random_inputs, small_model


@pytest.fixture(params=[None, 4000], ids=["one window", "many windows"])
def window_bytes(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(windows, "WINDOW_BYTES", request.param)


def both_forms(form, **fields):
    """The fused and the published form of one model, with weights that leave nothing unseen."""
    published = small_model(form, fused=False, **fields)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in published.parameters():
            if parameter.ndim == 1 or parameter.ndim == 3:
                parameter.uniform_(-1, 1, generator=generator)
    fused = small_model(form, **fields)
    fused.load_state_dict(published.state_dict())
    return fused, published


@torch.no_grad()
def assert_agreement(fused, published, inputs):
    torch.testing.assert_close(
        fused(**inputs).reconstruction, published(**inputs).reconstruction, rtol=1e-5, atol=1e-5
    )


@pytest.mark.usefixtures("window_bytes")
@pytest.mark.parametrize("form", SMALL_CONFIGS)
@pytest.mark.parametrize("attention", MIXERS)
@pytest.mark.parametrize("size", [(1, 1), (21, 34), (48, 8)])
def test_the_fused_form_computes_the_same(form, attention, size):
    fused, published = both_forms(form, attention=attention)
    inputs = random_inputs(fused, *size, batch=2)
    with torch.no_grad():
        expected = published(**inputs, output_attentions=True, output_hidden_states=True)
        output = fused(**inputs, output_attentions=True, output_hidden_states=True)
    scale = float(expected.reconstruction.abs().max())
    difference = (output.reconstruction - expected.reconstruction).abs().max()
    assert float(difference) < 2e-5 * scale
    for one, other in zip(output.attentions, expected.attentions, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    for one, other in zip(output.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["restormer", "mst", "mst_plus_plus"])
@pytest.mark.parametrize("attention", ["csa", "glmha"])
@pytest.mark.parametrize("lowest", [1, 1000])
def test_strips_and_tiles_compute_the_same(form, attention, lowest, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 20_000)
    monkeypatch.setattr(windows, "LOWEST_STRIP", lowest)
    fused, published = both_forms(form, attention=attention)
    inputs = random_inputs(fused, 24, 33)
    assert_agreement(fused, published, inputs)


@pytest.mark.usefixtures("window_bytes")
@pytest.mark.parametrize("norm", ["with_bias", "bias_free"])
@pytest.mark.parametrize("attention", ["csa", "glmha"])
def test_biases_stop_at_the_pictures_edge(norm, attention):
    fused, published = both_forms("restormer", bias=True, norm=norm, attention=attention)
    inputs = random_inputs(fused, 24, 33)
    assert_agreement(fused, published, inputs)


@pytest.mark.parametrize("form", ["restormer", "mst", "mst_plus_plus"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_agree_with_float32(form, dtype):
    fused, published = both_forms(form, attention="glmha")
    inputs = random_inputs(fused, 32, 32)
    with torch.no_grad():
        expected = published(**inputs).reconstruction
        model = copy.deepcopy(fused).to(dtype)
        output = model(**{name: value.to(dtype) for name, value in inputs.items()})
    assert output.reconstruction.dtype == dtype
    error = (output.reconstruction.double() - expected.double()).norm() / expected.double().norm()
    assert float(error) < {torch.bfloat16: 2e-2, torch.float16: 4e-3, torch.float64: 1e-5}[dtype]


@pytest.mark.parametrize("form", SMALL_CONFIGS)
def test_inputs_and_recorded_features_are_left_as_they_were(form):
    fused, _ = both_forms(form)
    inputs = random_inputs(fused, 16, 24)
    kept = {name: value.clone() for name, value in inputs.items()}
    with torch.no_grad():
        first = fused(**inputs, output_hidden_states=True)
        states = [state.clone() for state in first.hidden_states]
        again = fused(**inputs, output_hidden_states=True)
    assert all(torch.equal(inputs[name], kept[name]) for name in inputs)
    for state, copied, second in zip(first.hidden_states, states, again.hidden_states, strict=True):
        assert torch.equal(state, copied)
        assert torch.equal(state, second)


@pytest.mark.usefixtures("window_bytes")
@pytest.mark.parametrize("form", SMALL_CONFIGS)
@pytest.mark.parametrize("attention", ["csa", "glmha"])
def test_what_nobody_keeps_may_be_overwritten(form, attention):
    """Recorded features cannot be, so then other buffers are written to."""
    fused, _ = both_forms(form, attention=attention)
    inputs = random_inputs(fused, 32, 48)
    with torch.no_grad():
        recorded = fused(**inputs, output_hidden_states=True).reconstruction
        assert torch.equal(fused(**inputs).reconstruction, recorded)


def test_buffers_are_handed_on_while_they_fit():
    workspace = Workspace()
    features = torch.zeros(1, 4, 6, 8)
    lent = workspace.lend("values", features, 12)
    assert lent.shape == (1, 4, 6, 12)
    assert workspace.lend("values", features, 12) is lent
    assert workspace.take("values", features, 12) is lent
    assert workspace.take("values", features, 12) is not lent
    lent = workspace.lend("values", features, 12)
    for other in (features.bfloat16(), features.to("meta"), features[:, :2]):
        taken = workspace.lend("values", other, 12)
        assert (taken.shape, taken.dtype) == ((*other.shape[:-1], 12), other.dtype)
        assert taken.device == other.device
        assert taken is not lent


@pytest.mark.parametrize("form", SMALL_CONFIGS)
@pytest.mark.parametrize("attention", MIXERS)
def test_gradients_are_those_of_the_published_form(form, attention):
    fused, published = (model.double().train() for model in both_forms(form, attention=attention))
    inputs = {
        name: value.double().requires_grad_(name == "pixel_values")
        for name, value in random_inputs(fused, 9, 17, batch=2).items()
    }
    gradients = []
    for model in (fused, published):
        wanted = dict(model.named_parameters()) | {"pixel_values": inputs["pixel_values"]}
        model(**inputs).reconstruction.square().mean().backward()
        gradients.append({name: one.grad for name, one in wanted.items()})
        inputs["pixel_values"].grad = None
    one, other = gradients
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_gradients_in_mixed_precision_are_near_those_in_float32():
    fused, _ = both_forms("restormer", attention="glmha")
    inputs = random_inputs(fused.train(), 32, 32)
    gradients = []
    for mixed in (True, False):
        fused.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            reconstruction = fused(**inputs).reconstruction
        reconstruction.square().mean().backward()
        gradients.append(torch.cat([one.grad.flatten() for one in fused.parameters()]))
    one, other = gradients
    assert 0 < float((one - other).norm() / other.norm()) < 0.02


def test_masks_are_remembered_until_they_or_the_weights_change():
    fused, published = both_forms("mst")
    inputs = random_inputs(fused, 16, 16)

    def agree():
        with torch.no_grad():
            torch.testing.assert_close(
                fused(**inputs).reconstruction, published(**inputs).reconstruction
            )
        return fused.network.memory.known[1]

    first = agree()
    assert agree() is first
    inputs["mask"] = inputs["mask"].clone()
    assert agree() is first
    inputs["mask"][..., 3] = 0.5
    second = agree()
    assert second is not first
    with torch.no_grad():
        for model in (fused, published):
            model.network.mask_downsamples[0].weight.mul_(2)
    third = agree()
    assert third is not second
    for model in (fused, published):
        model.network.mask_downsamples[0].weight.data.mul_(2)  # which no version tells of
    assert agree() is not third


def test_masks_are_remembered_for_several_threads():
    model = small_model("mst").eval()
    masks = [random_inputs(model, 16, 16) for _ in range(2)]
    with torch.no_grad():
        expected = [model(**inputs).reconstruction for inputs in masks]

        def compute(number):
            with torch.no_grad():
                return model(**masks[number % 2]).reconstruction

        with ThreadPoolExecutor(4) as pool:
            for number, found in enumerate(pool.map(compute, range(40))):
                torch.testing.assert_close(found, expected[number % 2])


def test_masks_are_remembered_in_inference_mode():
    fused, published = both_forms("mst")
    with torch.inference_mode():
        inputs = random_inputs(fused, 16, 16)
        for _ in range(2):
            torch.testing.assert_close(
                fused(**inputs).reconstruction, published(**inputs).reconstruction
            )
    fused.train()(**random_inputs(fused, 8, 8)).reconstruction.sum().backward()


@pytest.mark.parametrize(("images", "heads"), [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_over_a_window_are_those_of_its_queries_and_keys(images, heads, dtype):
    query, key = (40 + torch.randn(images, 9, 8, 2 * heads).to(dtype) for _ in range(2))
    settings = AttentionSettings()
    mixer = build_mixer(channels=2 * heads, heads=heads, settings=settings)
    found = QueryKeySums(mixer, query).of_window(Window.whole(query), query, key)
    query, key = (each.float().unflatten(3, (heads, 2)) for each in (query, key))
    expected = (
        query.square().sum((1, 2)),
        key.square().sum((1, 2)),
        torch.einsum("nywhd,nywhr->nhdr", query, key),
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("kind", ["with_bias", "bias_free"])
def test_norms_over_the_last_axis(kind):
    norm = ChannelNorm(6, kind=kind)
    torch.nn.init.uniform_(norm.weight)
    x = torch.randn(2, 6, 4, 5) + 3
    streamed = normalised(x.movedim(1, -1), norm.weight, norm.bias).movedim(-1, 1)
    torch.testing.assert_close(streamed, norm(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["restormer_features", "mst"])
@pytest.mark.parametrize("attention", ["csa", "glmha"])
def test_blocks_compiled_once_serve_every_size(form, attention, monkeypatch):
    graphs = []

    def keep(graph, inputs, options):
        graphs.append(graph)
        assert options.keys() <= set(torch._inductor.list_options())
        return graph.forward

    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=keep))
    model, compiled = (small_model(form, attention=attention) for _ in range(2))
    compiled.compile_blocks()
    counts = []
    for size in ((32, 32), (24, 40), (48, 32), (40, 16)):
        inputs = random_inputs(model, *size)
        with torch.no_grad():
            expected = model(**inputs).reconstruction
            torch.testing.assert_close(
                compiled(**inputs).reconstruction, expected, rtol=1e-4, atol=1e-5
            )
        counts.append(len(graphs))
    assert counts[0] > 0
    assert len(set(counts)) == 1
