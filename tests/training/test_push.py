"""A finished run on the Hub."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glmha_hf.inference.network import load_network
from glmha_hf.training.folder import PushError, ZooFolders
from glmha_hf.training.recipe import load_recipe
from tests.hub.conftest import hub  # noqa: F401 - a fixture
from tests.hub.loopback import OWNER, Hub
from tests.hub.test_push_and_pull import same_weights, saved
from tests.models.small import small_model

SMOKE = Path(__file__).parents[2] / "configs" / "smoke.yaml"


def folders(output: Path, hub_id: str) -> ZooFolders:
    changes = ["data.root=photos", f"output={output}", f"hub_id={hub_id}"]
    accelerator: Any = SimpleNamespace(is_main_process=True)
    return ZooFolders(accelerator, load_recipe(SMOKE, changes), changes)


def test_the_best_weights_are_pushed(hub: Hub, tmp_path: Path) -> None:  # noqa: F811
    saved(tmp_path / "last", "restormer", seed=1)
    saved(tmp_path / "best", "restormer")
    assert folders(tmp_path, "run").push() == f"{hub.url}/{OWNER}/run"
    assert same_weights(load_network(f"{OWNER}/run"), small_model("restormer"))


def test_a_push_that_fails_says_where_the_weights_are(
    hub: Hub,  # noqa: F811
    tmp_path: Path,
) -> None:
    saved(tmp_path / "last", "restormer")
    with pytest.raises(PushError, match=r"not pushed \(others/run: the token .* is complete"):
        folders(tmp_path, "others/run").push()
