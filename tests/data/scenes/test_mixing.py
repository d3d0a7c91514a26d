"""Materials that a scene has, and mixtures that look as they should."""

import colour
import numpy as np
import pytest
from scipy.optimize import nnls

from glmha_hf.data.scenes.bands import on_grid
from glmha_hf.data.scenes.illuminants import FAMILIES, named
from glmha_hf.data.scenes.mixing import colours_of, draw_materials, mix, propose
from glmha_hf.data.scenes.reflectances import ROUGH, SUBSTANCES
from glmha_hf.data.scenes.regions import Regions


class TestColours:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_white_is_white_in_every_light(self, family):
        light = FAMILIES[family](np.random.default_rng(0))
        np.testing.assert_allclose(colours_of(np.ones((1, 301)), light), np.ones((1, 3)))

    def test_a_chart_has_the_srgb_values_it_is_sold_with(self):
        """Published for D50 as 115, 82, 68 (dark skin), 70, 148, 73 (green) and 243, 243, 242."""
        chart = colour.SDS_COLOURCHECKERS["BabelColor Average"]
        patches = [chart[name] for name in ("dark skin", "green", "white 9.5 (.05 D)")]
        spectra = [on_grid(patch.wavelengths, patch.values) for patch in patches]
        linear = colours_of(np.array(spectra), named("D50")).clip(0)
        coded = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
        np.testing.assert_allclose(coded, [[115, 82, 68], [70, 148, 73], [243, 243, 242]], atol=4)


class TestMaterials:
    def test_substances_come_about_equally(self, library):
        drawn = draw_materials(library, 30, np.random.default_rng(0))
        assert len(drawn) == len(set(drawn.names)) == 30
        counts = [(drawn.substances == name).sum() for name in SUBSTANCES]
        assert min(counts) >= 2
        place = library.names.index(drawn.names[7])
        np.testing.assert_array_equal(drawn.reflectances[7], library.reflectances[place])

    def test_there_are_no_more_than_there_are(self, library):
        assert len(draw_materials(library, 1000, np.random.default_rng(0))) == len(library)


class TestProposals:
    def proposals(self, library, *, texture, chroma=(0.4, 0.35), regions=200, seed=0):
        colours = colours_of(library.reflectances, named("D65"))
        asked = Regions(
            np.ones((1, regions)), np.tile(chroma, (regions, 1)), np.full(regions, texture)
        )
        return propose(asked, library, colours, 3, np.random.default_rng(seed)), colours

    def test_a_few_materials_lead(self, library):
        proposals, _ = self.proposals(library, texture=0.2)
        ordered = np.sort(proposals, axis=1)[:, ::-1]
        assert ordered[:, 3:].max() <= 0.002
        np.testing.assert_allclose(ordered[:, :3].sum(axis=1), 1, atol=0.01)

    def test_they_come_near_the_colour(self, library):
        proposals, colours = self.proposals(library, texture=0.2, chroma=(0.6, 0.25))
        redness = colours[:, 0] / colours.sum(axis=1)
        assert (proposals @ redness / proposals.sum(axis=1)).mean() > redness.mean() + 0.1

    def test_texture_asks_for_rough_materials(self, library):
        rough = np.isin(library.substances, ROUGH)
        smooth_share, rough_share = (
            self.proposals(library, texture=texture)[0][:, rough].sum(axis=1).mean()
            for texture in (0.0, 1.0)
        )
        assert rough_share > smooth_share + 0.15

    def test_regions_of_one_colour_differ(self, library):
        proposals, _ = self.proposals(library, texture=0.2)
        assert len(set(proposals.argmax(axis=1))) >= 5


class TestMix:
    @pytest.fixture
    def problem(self, library):
        """Colours that mixtures of ten materials have, and what their regions propose."""
        rng = np.random.default_rng(5)
        colours = colours_of(library.reflectances[rng.permutation(len(library))[:10]], named("A"))
        wanted = rng.dirichlet(np.full(10, 0.3), size=40) @ colours
        return wanted, rng.uniform(0.01, 1, (40, 10)), colours

    def test_it_looks_as_wanted_and_nothing_is_negative(self, problem):
        wanted, proposed, colours = problem
        weights = mix(wanted, proposed, colours)
        assert weights.min() >= 0
        np.testing.assert_allclose(weights @ colours, wanted, atol=2e-4)

    def test_it_is_the_mixture_nearest_to_the_proposal(self, problem):
        """Against scipy: least squares with w ≥ 0, the colours weighing far more than the rest."""
        wanted, proposed, colours = problem
        weights = mix(wanted, proposed, colours)
        for each, own, looks in zip(weights, proposed, wanted, strict=True):
            system = np.concatenate([np.diag(own**-0.5), 1e3 * colours.T])
            expected, _ = nnls(system, np.concatenate([np.zeros(10), 1e3 * looks]))
            np.testing.assert_allclose(each, expected, atol=1e-4)

    def test_it_comes_as_near_as_any_mixture_can(self, library):
        """Vivid colours and sparse proposals, where Newton's whole steps go astray."""
        rng = np.random.default_rng(0)
        colours = colours_of(library.reflectances[rng.permutation(72)[:40]], named("LED-B1"))
        proposed = np.full((1000, 40), 0.002)
        proposed[np.arange(1000), rng.integers(40, size=1000)] = 1
        wanted = rng.uniform(0, 1, (1000, 3)) ** 3
        off = np.linalg.norm(mix(wanted, proposed, colours) @ colours - wanted, axis=1)
        least = np.array([nnls(colours.T, each)[1] for each in wanted])
        assert least.max() > 0.1
        np.testing.assert_allclose(off, least, atol=0.02)

    def test_brightness_scales_the_amounts(self, problem):
        wanted, proposed, colours = problem
        once, thrice = mix(wanted, proposed, colours), mix(3 * wanted, proposed, colours)
        np.testing.assert_allclose(thrice, 3 * once, rtol=1e-9, atol=1e-12)

    def test_a_colour_beyond_all_materials_is_approached(self, problem):
        _, proposed, colours = problem
        weights = mix(np.array([[-0.2, 1.0, -0.2]]), proposed[:1], colours)
        assert np.isfinite(weights).all()
        assert weights.min() >= 0
