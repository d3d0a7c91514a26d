"""The real library: its size, its bounds, and splits that share nothing."""

import importlib.util

import numpy as np
import pytest

from glmha_hf.data.scenes import reflectances
from glmha_hf.data.scenes.reflectances import SUBSTANCES, check_installed, library, split_of

needs_earthlib = pytest.mark.skipif(
    importlib.util.find_spec("earthlib") is None, reason="earthlib is not installed"
)


def test_a_split_depends_on_the_name_alone():
    splits = [split_of(name) for name in ("patch foliage", "fscemg.039", "TCS 4", "soil 1.5 30.2")]
    assert splits == ["train", "train", "train", "train"]


def test_a_quarter_is_set_aside():
    aside = [split_of(str(number)) == "validation" for number in range(4000)]
    assert np.mean(aside) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("missing", "cure"),
    [
        (["earthlib"], r"spectra of earthlib: pip install --no-deps earthlib"),
        (["colour", "earthlib"], r"need colour, earthlib: pip install 'glmha-hf\[scenes\]'"),
    ],
)
def test_what_is_not_installed_is_named_with_its_cure(monkeypatch, missing, cure):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else name)
    with pytest.raises(ImportError, match=cure):
        check_installed()


@needs_earthlib
@pytest.mark.slow
class TestLibrary:
    def test_all_of_earthlib_is_in_one_split_or_the_other(self):
        both = library("train").names + library("validation").names
        assert len(both) == len(list(reflectances._everything()))
        assert len(both) > 7261

    def test_the_splits_share_no_spectrum(self):
        train, aside = (
            {spectrum.tobytes() for spectrum in library(split).reflectances}
            for split in ("train", "validation")
        )
        assert not train & aside

    def test_a_patch_of_two_charts_and_a_site_of_many_soils_have_one_origin(self):
        origins = {material.name: material.origin for material in reflectances._everything()}
        assert origins["BabelColor Average foliage"] == origins["ISO 17321-1 foliage"]
        assert origins["FS15R_FS4275"] == origins["FS15R_FS4276"] == "soil -32.85 137.5333333"

    @pytest.mark.parametrize("split", ["train", "validation"])
    def test_every_substance_is_there_and_reflects_between_nothing_and_all(self, split):
        materials = library(split)
        assert set(materials.substances) == set(SUBSTANCES)
        assert materials.reflectances.shape == (len(materials), 301)
        assert materials.reflectances.min() >= 0
        assert materials.reflectances.max() <= 1
