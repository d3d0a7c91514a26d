import math

import pytest
import torch
from torch import nn

from glmha_hf import RestormerConfig, RestormerForImageRestoration, profile
from glmha_hf.models.attention import (
    MIXERS,
    GuidedLowRankAttention,
    build_mixer,
    orthogonal_features,
)
from glmha_hf.models.configuration_attention import AttentionSettings
from glmha_hf.models.layers import split_heads
from glmha_hf.models.modeling_restormer import RestormerAttention
from glmha_hf.models.spectral import SpectralAttention
from tests.published import GLMHA_LAYERS, read_golden


def mixer(name, *, channels=12, heads=3, **settings):
    torch.manual_seed(0)
    built = build_mixer(
        channels=channels, heads=heads, settings=AttentionSettings(name=name, **settings)
    )
    return built.double()


def qkv(*, rank=4, heads=3, d=4, length=50):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(2, heads, channels, length, generator=generator, dtype=torch.float64)
        for channels in (d, rank, rank)
    ]


@pytest.mark.parametrize("name", GLMHA_LAYERS)
def test_glmha_layer_equals_the_papers_equations(name):
    golden = read_golden(name)
    x, heads = golden.tensors["X"][None], golden.meta["heads"]
    settings = AttentionSettings(
        name="glmha", kv_reduction=golden.meta["kv_reduction"], alpha=golden.meta["alpha"]
    )
    layer = RestormerAttention(
        channels=x.shape[1], heads=heads, bias=False, settings=settings
    ).double()
    layer.project_out = nn.Identity()
    with torch.no_grad():
        for projection, letter in ((layer.query, "Q"), (layer.key, "K"), (layer.value, "V")):
            projection.pointwise.weight.copy_(golden.tensors[f"W_{letter}"][:, :, None, None])
            kernel = projection.depthwise.weight
            identity = torch.zeros_like(kernel)
            identity[:, :, 1, 1] = 1
            kernel.copy_(
                golden.tensors[f"depthwise_{letter}"][:, None]
                if golden.meta["depthwise_on_qkv"]
                else identity
            )
        layer.mixer.temperature.copy_(golden.tensors["beta"].view(-1, 1, 1))
        layer.mixer.calibration_depthwise.weight.copy_(
            golden.tensors["calibration_depthwise"][:, None]
        )
        layer.mixer.calibration_linear.weight.copy_(golden.tensors["calibration_linear"])

        query = layer.query(x)
        weights = layer.mixer.calibrate(query)
        guided = layer.mixer.guide(x, query)
        output, attention = layer(x)
    for ours, theirs in (
        (weights, "A"),
        (guided, "X_underlined"),
        (attention, "attention"),
        (output, "Z"),
    ):
        torch.testing.assert_close(ours[0], golden.tensors[theirs], rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [48, 96])
@pytest.mark.parametrize("h", [1, 2, 4])
@pytest.mark.parametrize("r", [2, 4])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_glmha_saves_the_parameters_of_equation_8(n, h, r, k):
    def projection_parameters(name):
        layer = SpectralAttention(
            channels=n,
            heads=h,
            settings=AttentionSettings(
                name=name, kv_reduction=1 - 1 / r, calibration_kernel_size=k
            ),
            masked=False,
            column_shift=0,
        )
        return sum(parameter.numel() for parameter in layer.parameters())

    saved = projection_parameters("csa") - projection_parameters("glmha")
    assert saved == 2 * n**2 - 2 * n**2 // r - n**2 // h**2 - n * k**2


@pytest.mark.parametrize(
    ("channels", "reduction", "rank"),
    [(48, 0.5, 24), (48, 0.9, 5), (31, 0.5, 16), (10, 0.7, 3), (4, 0.99, 1), (28, 0, 28)],
)
def test_rank_is_rounded_up_and_at_least_one(channels, reduction, rank):
    assert AttentionSettings(kv_reduction=reduction).rank(channels) == rank


def test_csa_equals_the_equation_written_out():
    csa = mixer("csa")
    with torch.no_grad():
        csa.temperature.copy_(torch.tensor([0.5, 2.0, -1.0]).view(3, 1, 1))
    query, key, value = qkv()
    output, attention = csa(query, key, value)
    for b, h, i in ((0, 0, 0), (1, 2, 3)):
        scores = [
            float(
                csa.temperature[h].detach()
                * (query[b, h, i] @ row)
                / query[b, h, i].norm()
                / row.norm()
            )
            for row in key[b, h]
        ]
        weights = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
        assert attention[b, h, i].tolist() == pytest.approx(weights, abs=1e-12)
        expected = sum(weight * row for weight, row in zip(weights, value[b, h], strict=True))
        torch.testing.assert_close(output[b, h, i], expected)


def test_linformer_equals_attention_over_projected_channels():
    linformer = mixer("linformer", kv_reduction=0.5)
    query, key, value = qkv()
    key_map, value_map = linformer.key_projection, linformer.value_projection
    assert key_map.shape == (2, 4)
    projected = torch.einsum("rd,bhdl->bhrl", key_map, key)
    scores = nn.functional.cosine_similarity(query.unsqueeze(3), projected.unsqueeze(2), dim=-1)
    expected = torch.einsum("bhdr,re,bhel->bhdl", scores.softmax(-1), value_map, value)
    torch.testing.assert_close(linformer(query, key, value)[0], expected)


def test_performers_error_falls_as_features_grow():
    query, key, value = qkv(length=200)
    exact = mixer("csa")(query, key, value)[1]
    errors = []
    for features in (8, 200, 5000):
        performer = mixer("performer", performer_features=features)
        estimate = performer(query, key, value)[1]
        errors.append(float((estimate - exact).detach().abs().mean()))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.02


@pytest.mark.parametrize("temperature", [0.0, -1.5])
def test_performer_follows_any_temperature(temperature):
    query, key, value = qkv(length=200)
    csa, performer = mixer("csa"), mixer("performer", performer_features=20000)
    for one in (csa, performer):
        nn.init.constant_(one.temperature, temperature)
    exact, estimate = csa(query, key, value)[1], performer(query, key, value)[1]
    assert float((estimate - exact).detach().abs().max()) < 0.03


@pytest.mark.parametrize(("count", "length"), [(3, 10), (10, 10), (25, 10), (4, 1)])
def test_random_features_are_orthogonal_in_blocks_of_the_length(count, length):
    directions = orthogonal_features(count, length, 0, torch.device("cpu")).double()
    assert directions.shape == (length, count)
    for block in directions.split(length, dim=1):
        gram = block.T @ block
        off_diagonal = gram - torch.diag(gram.diagonal())
        assert float(off_diagonal.abs().max()) < 1e-4


def test_reformer_with_one_bucket_is_full_attention():
    parts = qkv()
    torch.testing.assert_close(mixer("reformer", reformer_buckets=1)(*parts), mixer("csa")(*parts))


def test_reformer_attends_within_shared_buckets_only():
    reformer = mixer("reformer", reformer_buckets=4, reformer_rounds=2)
    query, key, value = qkv()
    attention = reformer(query, key, value)[1]
    rotations = reformer.directions(query.shape[-1], query.device).double()
    query_hash, key_hash = reformer.hash(query @ rotations), reformer.hash(key @ rotations)
    shared = (query_hash[..., :, None, :] == key_hash[..., None, :, :]).any(-1)
    alone = ~shared.any(-1)
    assert alone.any()
    assert not alone.all()
    assert torch.equal((attention > 0)[~alone], shared[~alone])
    own = torch.eye(4, dtype=torch.float64).expand_as(attention)
    torch.testing.assert_close(attention[alone], own[alone])
    exact = mixer("csa")(query, key, value)[1]
    masked = torch.where(shared, exact, 0)[~alone]
    torch.testing.assert_close(attention[~alone], masked / masked.sum(-1, keepdim=True))


@pytest.mark.parametrize("name", MIXERS)
def test_attention_rows_sum_to_one(name):
    rank = 2 if name == "glmha" else 4
    attention = mixer(name)(*qkv(rank=rank))[1]
    torch.testing.assert_close(attention.sum(-1), torch.ones_like(attention[..., 0]))


def test_without_reduction_and_guidance_glmha_is_csa():
    settings = {"channels": 8, "heads": 2, "bias": True}
    csa = RestormerAttention(settings=AttentionSettings(name="csa"), **settings)
    glmha = RestormerAttention(
        settings=AttentionSettings(name="glmha", kv_reduction=0, alpha=0), **settings
    )
    missing = glmha.load_state_dict(csa.state_dict(), strict=False).missing_keys
    assert missing == ["mixer.calibration_depthwise.weight", "mixer.calibration_linear.weight"]
    x = torch.randn(2, 8, 7, 9)
    torch.testing.assert_close(glmha(x), csa(x))


def test_calibration_changes_the_output_only_through_the_guided_input():
    layer = RestormerAttention(
        channels=8, heads=2, bias=False, settings=AttentionSettings(name="glmha")
    ).double()
    x = torch.randn(1, 8, 6, 7, dtype=torch.float64)
    query = layer.query(x)
    guided = layer.mixer.guide(x, query)
    assert not torch.allclose(guided, x)
    mixed, _ = layer.mixer(
        *(split_heads(part, 2) for part in (query, layer.key(guided), layer.value(guided)))
    )
    torch.testing.assert_close(layer.project_out(mixed.reshape(1, 8, 6, 7)), layer(x)[0])


def test_glmha_gradients_are_right():
    layer = RestormerAttention(
        channels=4, heads=2, bias=True, settings=AttentionSettings(name="glmha")
    ).double()
    x = torch.randn(1, 4, 4, 5, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def output(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))[0]

    values = tuple(parameter.detach().requires_grad_() for parameter in parameters)
    assert torch.autograd.gradcheck(output, (x, *values), fast_mode=True)


@pytest.mark.parametrize("name", MIXERS)
def test_bfloat16_agrees_with_float32(name):
    torch.manual_seed(0)
    layer = RestormerAttention(
        channels=16, heads=2, bias=False, settings=AttentionSettings(name=name)
    )
    x = torch.randn(1, 16, 24, 24)
    with torch.no_grad():
        exact, _attention = layer(x)
        rounded, rounded_attention = layer.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    assert rounded_attention.dtype == torch.float32
    assert float((rounded.float() - exact).norm() / exact.norm()) < (
        0.02 if name != "reformer" else 0.3  # a rounded channel may hash to another bucket
    )


def test_autocast_keeps_attention_in_float32():
    layer = RestormerAttention(channels=8, heads=2, bias=False, settings=AttentionSettings())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, attention = layer(torch.randn(1, 8, 6, 6))
    assert (output.dtype, attention.dtype) == (torch.bfloat16, torch.float32)


def test_the_calibration_kernel_can_have_any_size():
    for size in (1, 3, 5):
        guided = mixer("glmha", calibration_kernel_size=size)
        assert isinstance(guided, GuidedLowRankAttention)
        assert guided.calibrate(torch.randn(2, 12, 3, 40, dtype=torch.float64)).shape == (2, 12)


def test_one_attention_per_level_changes_that_level_alone():
    costs = {
        attention: profile(
            RestormerConfig(dim=8, attention=["csa", "csa", attention, "csa"]), height=64, width=64
        )
        for attention in ("csa", "glmha")
    }
    changed = [
        level.level
        for level, other in zip(costs["csa"].levels, costs["glmha"].levels, strict=True)
        if level.attention_cost != other.attention_cost
    ]
    assert changed == [3]


def test_kv_reduction_can_be_given_for_every_block():
    config = RestormerConfig(
        dim=8,
        num_blocks=(1, 1, 1, 1),
        num_refinement_blocks=1,
        num_heads=(1, 1, 1, 1),
        attention="glmha",
        kv_reduction=[0, 0.25, 0.5, 0.75, 0.5, 0.25, 0, 0.75],
    )
    model = RestormerForImageRestoration(config)
    maps = model(torch.rand(1, 3, 16, 16), output_attentions=True).attentions
    assert [one.shape[-1] for one in maps] == [8, 12, 16, 16, 16, 12, 16, 4]


@pytest.mark.parametrize("name", ["csa", "glmha"])
def test_the_batch_is_free_in_a_graph(name):
    layer = RestormerAttention(
        channels=12, heads=3, bias=False, settings=mixer(name).settings
    ).eval()
    features = torch.rand(2, 12, 8, 8)
    graph = torch.export.export(
        layer, (features,), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    more = torch.rand(5, 12, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(graph.module()(more)[0], layer(more)[0])
