"""Lights against what the CIE tabulates, and how they are drawn."""

from collections import Counter

import numpy as np
import pytest

from glmha_hf.data.scenes.bands import GRID
from glmha_hf.data.scenes.illuminants import (
    FAMILIES,
    check_shares,
    daylight,
    draw_illuminant,
    incandescent,
    named,
)


@pytest.mark.parametrize(("name", "violet_to_green"), [("D65", 1.17008), ("A", 0.33086)])
def test_standard_lights_have_their_tabulated_ratio(name, violet_to_green):
    power = named(name).power
    assert power[GRID == 450] / power[GRID == 560] == pytest.approx(violet_to_green, rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_light_has_power_one_on_average(family):
    for seed in range(8):
        light = FAMILIES[family](np.random.default_rng(seed))
        assert light.power.mean() == pytest.approx(1)
        assert light.power.min() >= 0


@pytest.mark.parametrize(
    ("family", "low", "high"), [(daylight, 4_000, 12_000), (incandescent, 2_400, 3_300)]
)
def test_colder_lights_are_redder(family, low, high):
    lights = [family(np.random.default_rng(seed)) for seed in range(20)]
    kelvin = [float(light.name.split()[1]) for light in lights]
    assert low <= min(kelvin)
    assert max(kelvin) <= high
    redness = [(light.power[250] / light.power[50]).item() for light in lights]
    np.testing.assert_array_equal(np.argsort(kelvin), np.argsort(redness)[::-1])


def test_families_are_drawn_in_their_shares():
    rng = np.random.default_rng(0)
    shares = {"daylight": 3, "led": 1, "fluorescent": 0}
    names = [draw_illuminant(shares, (0.2, 0.2), rng).name for _ in range(200)]
    families = Counter(name[:3] for name in names)
    assert set(families) == {"day", "LED"}
    assert families["day"] == pytest.approx(150, abs=20)


def test_lamps_are_mixed_with_daylight():
    lit = draw_illuminant({"incandescent": 1}, (0.25, 0.25), np.random.default_rng(1))
    rng = np.random.default_rng(1)
    rng.choice(1, p=[1.0])
    lamp = incandescent(rng)
    rng.uniform()
    outside = daylight(rng)
    assert lit.name == f"{lamp.name} with 25 % of {outside.name}"
    np.testing.assert_allclose(lit.power, 0.75 * lamp.power + 0.25 * outside.power)


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ({"candle": 1}, "no light candle; there are daylight, incandescent, led, fluorescent"),
        ({}, "shares of the lights"),
        ({"led": -1, "daylight": 2}, "shares of the lights"),
        ({"led": 0}, "shares of the lights"),
    ],
)
def test_shares_that_mean_nothing(shares, reason):
    with pytest.raises(ValueError, match=reason):
        check_shares(shares)


def test_an_unknown_light():
    with pytest.raises(ValueError, match="no illuminant D66; D65, A"):
        named("D66")
