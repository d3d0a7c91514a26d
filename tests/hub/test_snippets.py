"""The Python snippets of cards, run as they are printed."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glmha_hf.cli import build_parser
from glmha_hf.convert.conversion import processor_for
from glmha_hf.hub.card import model_card
from glmha_hf.hub.snippets import snippets
from glmha_hf.hub.zoo import list_models
from tests.models.small import small_model

SIDE = 24
SHIPPED = [model for model in list_models() if model.ships]


def python_snippets(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run_snippet(code: str) -> dict:
    """What the snippet leaves behind."""
    names: dict = {}
    exec(compile(code, "snippet", "exec"), names)
    return names


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that snippets name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("picture.png")
    return tmp_path


def write_snapshot(bands: int) -> None:
    rng = np.random.default_rng(0)
    np.save("mask.npy", rng.random((SIDE, SIDE)))
    np.save("snapshot.npy", rng.random((SIDE, SIDE + 2 * (bands - 1))))


def shell_lines(text: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("glmha ")]


def check(text: str, kind: str, *, bands: int) -> None:
    for line in shell_lines(text):
        build_parser().parse_args(shlex.split(line)[1:])
    found = python_snippets(text)
    assert len(found) == 2
    for code in found:
        Path("restored.png").unlink(missing_ok=True)
        names = run_snippet(code)
        if kind == "picture":
            with Image.open("restored.png") as restored:
                assert restored.size == (SIDE, SIDE)
        else:
            assert names["cube"].shape == (bands, SIDE, SIDE)


@pytest.mark.parametrize(
    ("form", "kind"), [("restormer", "picture"), ("mst_plus_plus", "rgb"), ("mst", "snapshot")]
)
def test_the_snippets_of_a_card_run_as_printed(desk: Path, form: str, kind: str) -> None:
    model = small_model(form)
    model.save_pretrained(desk / "small")
    processor_for(model.config).save_pretrained(desk / "small")
    write_snapshot(model.config.in_channels)
    check(model_card(Path("small")), kind, bands=model.config.out_channels)


@pytest.mark.slow
@pytest.mark.parametrize("model", SHIPPED, ids=[model.name for model in SHIPPED])
def test_the_snippets_of_a_shipped_card_run_as_printed(desk: Path, model) -> None:
    kind = {"rgb2hsi": "rgb", "cassi": "snapshot"}.get(model.task, "picture")
    bands = {"rgb": 31, "snapshot": 28}.get(kind, 3)
    write_snapshot(bands)
    text = (model.folder / "README.md").read_text()
    assert text == model_card(model.folder), f"make it anew: glmha card {model.name}"
    check(text, kind, bands=bands)


def test_remote_code_is_shown_where_it_is() -> None:
    shown = snippets("you/model", kind="picture", has_code=True, on_hub=True)
    assert 'pipeline("image-restoration", model="you/model", trust_remote_code=True)' in shown
    for code in python_snippets(shown):
        compile(code, "snippet", "exec")
    assert "trust_remote_code" not in snippets("m", kind="rgb", has_code=True, on_hub=False)
    assert "trust_remote_code" not in snippets("m/n", kind="rgb", has_code=False, on_hub=True)
