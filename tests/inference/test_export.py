import numpy as np
import pytest
import torch

from glmha_hf import MstConfig, MstPlusPlusConfig, RestormerConfig
from glmha_hf.inference.export import _max_pool, export_model
from glmha_hf.inference.exported import ExportedNetwork
from glmha_hf.inference.restoration import Restorer, restore
from glmha_hf.registration import model_class_of
from tests.models.small import random_inputs, small_model

FORMS = [
    "restormer",
    "restormer_features",
    "mst",
    "mst_rgb",
    "mst_plus_plus",
    "mst_plus_plus_cassi",
]


def without_padding(model):
    """A model in the place of its own graph."""

    def graph(inputs):
        assert all(
            side % model.config.size_multiple == 0 for side in inputs["pixel_values"].shape[-2:]
        )
        with torch.no_grad():
            return model(**inputs).reconstruction

    return ExportedNetwork(model.config, graph)


@pytest.mark.parametrize("form", FORMS)
def test_what_runs_a_graph_pads_and_crops_as_the_model_does(form):
    model = small_model(form)
    exported = without_padding(model)
    for height, width in ((33, 51), (40, 48), (5, 3)):
        inputs = random_inputs(model, height, width)
        with torch.no_grad():
            expected = model(**inputs).reconstruction
        found = exported(**inputs).reconstruction
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_an_exported_model_is_tiled_like_any_other():
    model = small_model("mst")
    inputs = random_inputs(model, 150, 133)
    tiled = [
        Restorer(network=network, processor=None, tile=64).reconstruct(inputs)
        for network in (model, without_padding(model))
    ]
    torch.testing.assert_close(*tiled, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 7), (9, 4), (16, 31)])
def test_pooling_by_slices_is_adaptive_max_pooling(height, width):
    x = torch.rand(2, 5, height, width)
    expected = torch.nn.functional.adaptive_max_pool2d(x, 3)
    assert torch.equal(_max_pool(x, [3, 3])[0], expected)


@pytest.mark.parametrize("attention", ["performer", "reformer"])
def test_attentions_with_random_directions_are_refused(attention, tmp_path):
    model = small_model("restormer_features", attention=attention)
    with pytest.raises(ValueError, match=f"{attention} attention cannot be exported"):
        export_model(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_exported_model_says_what_it_takes():
    exported = without_padding(small_model("mst"))
    with pytest.raises(ValueError, match="pixel_values must be B×6×H×W; they are 1×3×8×8"):
        exported(torch.rand(1, 3, 8, 8))
    with pytest.raises(ValueError, match="this model takes a mask"):
        exported(torch.rand(1, 6, 8, 8))
    with pytest.raises(FileNotFoundError, match="has neither model"):
        ExportedNetwork.from_folder("nowhere")


SHALLOW = {
    "restormer": lambda **fields: RestormerConfig(
        dim=4, num_blocks=(1, 1), num_refinement_blocks=1, num_heads=(1, 2), **fields
    ),
    "mst": lambda **fields: MstConfig(
        in_channels=4, out_channels=4, dim=4, num_blocks=(1, 1), **fields
    ),
    "mst_rgb": lambda **fields: MstConfig(
        in_channels=3, out_channels=4, dim=4, num_blocks=(1, 1), guidance="learned", **fields
    ),
    "mst_plus_plus": lambda **fields: MstPlusPlusConfig(
        out_channels=4, dim=4, num_stages=1, num_blocks=(1, 1), **fields
    ),
    "mst_plus_plus_cassi": lambda **fields: MstPlusPlusConfig(
        in_channels=4,
        out_channels=4,
        dim=4,
        num_stages=1,
        num_blocks=(1, 1),
        mask_input=True,
        **fields,
    ),
}


def shallow_model(form, **fields):
    """Exporting takes seconds a block: one block a level, two levels."""
    torch.manual_seed(0)
    return model_class_of(config := SHALLOW[form](**fields))(config).eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "attention"),
    [
        *((form, attention) for form in SHALLOW for attention in ("csa", "glmha")),
        ("mst", "linformer"),
    ],
)
def test_onnx_runtime_agrees_at_odd_sizes(form, attention, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = shallow_model(form, attention=attention)
    assert export_model(model, tmp_path / "out").deviation < 1e-4
    exported = ExportedNetwork.from_folder(tmp_path / "out")
    for height, width, batch in ((7, 9, 1), (43, 81, 2), (64, 40, 3)):
        inputs = random_inputs(model, height, width, batch=batch)
        with torch.no_grad():
            expected = model(**inputs).reconstruction
        found = exported(**inputs).reconstruction
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["restormer", "mst", "mst_plus_plus"])
def test_a_torch_program_agrees_at_odd_sizes(form, tmp_path):
    model = shallow_model(form, attention="glmha")
    done = export_model(model, tmp_path / "out", format="torch-export")
    assert done.deviation < 1e-4
    assert done.file.name == "model.pt2"


@pytest.mark.slow
def test_an_exported_folder_restores(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = shallow_model("restormer", attention="glmha", kv_reduction=0.25)
    export_model(model, tmp_path / "out")
    picture = np.random.default_rng(0).integers(0, 256, (95, 131, 4)).astype(np.uint8)
    for tile in (None, 64):
        found = restore(picture, model=tmp_path / "out", tile=tile).astype(int)
        own = Restorer.load(model, tile=tile, shared_statistics=False)  # a graph's are each tile's
        np.testing.assert_allclose(found, own.restore_batch([picture])[0], atol=1)
    with pytest.raises(ValueError, match="runs in float32 on the CPU"):
        restore(picture, model=tmp_path / "out", dtype="bfloat16")
