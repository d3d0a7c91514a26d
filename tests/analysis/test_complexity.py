import pytest

from glmha_hf import MstConfig, MstPlusPlusConfig, RestormerConfig, profile
from glmha_hf.analysis.complexity import Cost

# Parameters, every MAC and convolutions and linear layers alone (both in G), at 256×256.
EXPECTED = [
    (RestormerConfig, {}, 26_126_644, 154.882, 140.990),
    (RestormerConfig, {"attention": "glmha", "kv_reduction": 0.25}, 25_409_236, 145.851, 135.433),
    (RestormerConfig, {"attention": "glmha", "kv_reduction": 0.5}, 24_467_764, 136.820, 129.874),
    (RestormerConfig, {"attention": "glmha", "kv_reduction": 0.75}, 23_526_292, 127.788, 124.316),
    (RestormerConfig, {"attention": "glmha", "kv_reduction": 0.9}, 22_977_100, 122.520, 121.073),
    (MstPlusPlusConfig, {}, 1_619_625, 22.191, 20.963),
    (MstPlusPlusConfig, {"attention": "glmha"}, 1_569_870, 20.683, 20.049),
    (MstConfig, {}, 2_018_156, 27.336, 25.666),
    (MstConfig, {"attention": "glmha"}, 1_940_540, 25.113, 24.279),
]
LEVELS = [(1, 26_126_644, 134.989), (2, 26_043_700, 133.007), (3, 25_628_980, 131.110)]


@pytest.mark.parametrize(("config", "fields", "parameters", "macs", "conv_linear"), EXPECTED)
def test_full_size_models_cost_what_they_should(config, fields, parameters, macs, conv_linear):
    counted = profile(config(**fields))
    assert counted.total.parameters == parameters
    assert counted.total.macs / 1e9 == pytest.approx(macs, rel=1e-3)
    assert counted.total.conv_linear_macs / 1e9 == pytest.approx(conv_linear, rel=1e-3)


@pytest.mark.parametrize(("levels", "parameters", "conv_linear"), LEVELS)
def test_glmha_by_level_costs_what_it_should(levels, parameters, conv_linear):
    attention = ["glmha"] * levels + ["csa"] * (4 - levels)
    total = profile(RestormerConfig(attention=attention)).total
    assert total.parameters == parameters
    assert total.conv_linear_macs / 1e9 == pytest.approx(conv_linear, rel=1e-3)


def test_the_parts_make_the_whole():
    counted = profile(MstConfig(num_blocks=(1, 1, 1)), height=32, width=48)
    parts = [level.attention_cost + level.feed_forward_cost for level in counted.levels]
    assert sum(parts, counted.outside_blocks) == counted.total
    assert [level.blocks for level in counted.levels] == [2, 2, 1]


def test_a_layer_costs_what_its_formula_says():
    config = RestormerConfig(
        dim=8, num_blocks=(1, 1), num_refinement_blocks=0, num_heads=(1, 2), ffn_expansion=2
    )
    bottleneck = profile(config, height=16, width=16).levels[1]
    C, heads, pixels = 16, 2, 8 * 8
    convolutions = (3 * C * C + 3 * C * 9 + C * C) * pixels
    products = 2 * C * (C // heads) * pixels
    parameters = 3 * C * C + 3 * C * 9 + C * C + heads
    assert bottleneck.attention_cost == Cost(parameters, convolutions + products, convolutions)


def test_macs_grow_with_the_pixels():
    config = RestormerConfig(dim=8)
    small, large = (profile(config, height=side, width=side).total for side in (64, 4096))
    assert large.macs == small.macs * 64**2
    assert large.parameters == small.parameters
