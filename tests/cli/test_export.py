import numpy as np
import pytest
from PIL import Image

from glmha_hf.cli import main
from glmha_hf.models.image_processing_picture import PictureProcessor
from tests.models.small import small_model


@pytest.fixture
def model(tmp_path):
    small_model("restormer_features", attention="glmha").save_pretrained(tmp_path / "model")
    PictureProcessor(channels=6).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.slow
@pytest.mark.parametrize(("form", "file"), [("onnx", "model.onnx"), ("torch-export", "model.pt2")])
def test_an_exported_folder_is_a_model(capsys, tmp_path, form, file):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = tmp_path / "model"
    small_model("restormer").save_pretrained(model)
    out = tmp_path / "out"
    assert main(["export", str(model), "-o", str(out), "--format", form]) == 0
    assert f"{file}: deviates by at most" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        file,
        "preprocessor_config.json",
    }
    picture = np.random.default_rng(0).integers(0, 256, (33, 41, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    for folder in (model, out):
        target = tmp_path / f"{folder.name}.png"
        arguments = ["restore", str(tmp_path / "a.png"), "--model", str(folder)]
        assert main([*arguments, "-o", str(target)]) == 0
    restored = [
        np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("model", "out")
    ]
    np.testing.assert_allclose(*restored, atol=1)
    assert main(["export", str(out), "-o", str(tmp_path / "again")]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/nothing", "-o", "{tmp}/out"], "there is no model folder"),
        (["{tmp}", "-o", "{tmp}/out"], "it has no config.json"),
        (["{tmp}/model", "-o", "{tmp}/model"], "add --overwrite to replace it"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, model, arguments, message):
    capsys.readouterr()
    assert main(["export", *(part.format(tmp=tmp_path) for part in arguments)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
