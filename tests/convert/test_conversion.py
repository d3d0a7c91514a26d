import argparse
import io
import json

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageToImage

from glmha_hf import RestormerConfig, RestormerForImageRestoration
from glmha_hf.convert.adapter import CheckpointMismatchError, to_zoo
from glmha_hf.convert.conversion import (
    ADAPTERS,
    convert_checkpoint,
    export_checkpoint,
    find_adapter,
    read_checkpoint,
)
from tests.published import GOLDEN, PUBLISHED_MODELS, read_golden

SHAPES = json.loads((GOLDEN / "checkpoint_shapes.json").read_text())


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", PUBLISHED_MODELS)
def test_converted_checkpoint_gives_the_published_output(name, fused, tmp_path):
    golden = read_golden(name)
    torch.save({"params": golden.weights}, tmp_path / "checkpoint.pth")
    convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")

    model = AutoModelForImageToImage.from_pretrained(tmp_path / "model", fused=fused)
    assert model.config.fused is fused
    with torch.no_grad():
        reconstruction = model(**golden.inputs).reconstruction
    assert reconstruction.shape[-2:] == golden.inputs["pixel_values"].shape[-2:]
    assert golden.deviation(reconstruction) < 1e-5


@pytest.mark.parametrize("name", SHAPES)
def test_every_tensor_of_the_full_size_checkpoints_is_mapped(name):
    shapes = {key: tuple(shape) for key, shape in SHAPES[name]["tensors"].items()}
    adapter = find_adapter(name, shapes)
    config = adapter.config_of(shapes)
    with torch.device("meta"):
        model = adapter.model_class(config)
        tensors = {key: torch.empty(shape) for key, shape in shapes.items()}
    mapped = to_zoo(tensors, adapter.correspondences(config), model.state_dict())
    assert {name: tensor.shape for name, tensor in mapped.items()} == {
        name: tensor.shape for name, tensor in model.state_dict().items()
    }
    assert model.num_parameters() == SHAPES[name]["parameters"]


@pytest.mark.parametrize("name", ["restormer_odd_size", "mst_rgb", "mstpp_cassi"])
def test_the_way_back_gives_the_published_checkpoint(name, tmp_path):
    golden = read_golden(name)
    torch.save(golden.weights, tmp_path / "checkpoint.pth")
    convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")
    model = AutoModel.from_pretrained(tmp_path / "model")
    _, weights = read_checkpoint(export_checkpoint(model, tmp_path / "back.pth"))
    assert weights.keys() == golden.weights.keys()
    assert all(torch.equal(weights[key], golden.weights[key]) for key in weights)


@pytest.mark.parametrize(
    ("wrap", "wrapper"),
    [
        (lambda weights: weights, None),
        (lambda weights: {"params": weights, "iter": 3}, "params"),
        (lambda weights: {"params": {}, "params_ema": weights}, "params_ema"),
        (
            lambda weights: {"epoch": 5, "state_dict": weights, "optimizer": {"a": [1]}},
            "state_dict",
        ),
        (lambda weights: {f"module.{key}": value for key, value in weights.items()}, None),
        (lambda weights: {f"_orig_mod.{key}": value for key, value in weights.items()}, None),
        (
            lambda weights: (
                {"n_averaged": torch.ones(())}
                | {f"module.{key}": value for key, value in weights.items()}
            ),
            None,
        ),
        (lambda weights: {"params": weights, "params_ema": {}}, "params"),
        (lambda weights: {"ema": weights, "model": {"a": torch.ones(1)}}, "ema"),
    ],
)
def test_wrappers_are_taken_off(wrap, wrapper, tmp_path):
    weights = read_golden("mstpp").weights
    torch.save(wrap(weights), tmp_path / "checkpoint.pth")
    found, tensors = read_checkpoint(tmp_path / "checkpoint.pth")
    assert found == wrapper
    assert tensors.keys() == weights.keys()


@pytest.mark.parametrize("blocks", [(1, 2, 3, 1), (2, 1, 1, 2)])
@pytest.mark.parametrize("factor", [2, 2.66, 1.5, 3.3])
@pytest.mark.parametrize("dim", [8, 24, 36])
def test_restormers_hyperparameters_are_read_off_its_shapes(blocks, factor, dim):
    config = RestormerConfig(
        dim=dim, num_blocks=blocks, ffn_expansion=factor, bias=True, num_heads=(1, 2, 2, 4)
    )
    with torch.device("meta"):
        model = RestormerForImageRestoration(config)
    adapter = ADAPTERS[0]
    ours = {name: tensor.shape for name, tensor in model.state_dict().items()}
    published = {}
    for pair in adapter.correspondences(config):
        rows = sum(ours[name][0] for name in pair.ours)
        published[pair.published] = (rows, *ours[pair.ours[0]][1:])
    read = adapter.config_of(published)
    with torch.device("meta"):
        again = adapter.model_class(read)
    assert {name: tensor.shape for name, tensor in again.state_dict().items()} == ours
    assert (read.num_blocks, read.num_heads) == (list(blocks), [1, 2, 2, 4])


def test_weights_can_be_stored_in_half_precision(tmp_path):
    torch.save(read_golden("mstpp").weights, tmp_path / "checkpoint.pth")
    convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model", dtype=torch.bfloat16)
    model = AutoModel.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16
    assert AutoModel.from_pretrained(tmp_path / "model", dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "processor", "settings"),
    [
        ("restormer_biasfree_gray", "PictureProcessor", {"channels": 1, "value_range": "full"}),
        ("mstpp", "PictureProcessor", {"channels": 3, "value_range": "min_max"}),
        ("mstpp_cassi", "SnapshotProcessor", {"bands": 28, "mask_form": "plain"}),
        ("mst_cassi", "SnapshotProcessor", {"bands": 28, "mask_form": "shifted"}),
    ],
)
def test_a_converted_folder_has_the_processor_of_its_input(name, processor, settings, tmp_path):
    torch.save(read_golden(name).weights, tmp_path / "checkpoint.pth")
    convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")
    loaded = AutoImageProcessor.from_pretrained(tmp_path / "model")
    assert type(loaded).__name__ == processor
    assert {key: getattr(loaded, key) for key in settings} == settings


def test_alien_and_missing_keys_are_named(tmp_path):
    weights = dict(read_golden("restormer_withbias").weights)
    del weights["output.weight"]
    weights["latent.0.attn.surprise"] = torch.ones(1)
    torch.save(weights, tmp_path / "checkpoint.pth")
    with pytest.raises(CheckpointMismatchError, match=r"output\.weight of Restormer is missing"):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")
    assert not (tmp_path / "model").exists()

    weights["output.weight"] = read_golden("restormer_withbias").weights["output.weight"]
    torch.save(weights, tmp_path / "checkpoint.pth")
    with pytest.raises(CheckpointMismatchError, match=r"1 alien \(latent\.0\.attn\.surprise\)"):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")


def test_a_tensor_of_the_wrong_shape_is_named(tmp_path):
    weights = dict(read_golden("mstpp").weights)
    weights["body.0.mapping.weight"] = torch.ones(31, 31, 5, 5)
    torch.save(weights, tmp_path / "checkpoint.pth")
    with pytest.raises(CheckpointMismatchError, match=r"body\.0\.mapping\.weight should be"):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pth"]


@pytest.mark.parametrize(
    "odd",
    [torch.ones(()), torch.zeros(0), torch.ones(3).to_sparse(), torch.ones(3, dtype=torch.int64)],
)
@pytest.mark.parametrize("name", ["mstpp", "restormer_biasfree_gray"])
def test_odd_tensors_are_refused(name, odd, tmp_path):
    weights = dict(read_golden(name).weights)
    for key in list(weights)[::5]:
        torch.save(weights | {key: odd}, tmp_path / "checkpoint.pth")
        with pytest.raises(ValueError, match=r"not fit|should|no floating|no checkpoint"):
            convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")


def legacy_format():
    file = io.BytesIO()
    torch.save({"a": torch.ones(100)}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is not a checkpoint"),
        (b"not a pickle at all", "is not a checkpoint"),
        (b"<!DOCTYPE html>", "is not a checkpoint"),
        (b"\x89PNG\r\n", "is not a checkpoint: it is neither torch's nor safetensors'$"),
        (legacy_format()[:400], "is not a checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused(contents, message, tmp_path):
    (tmp_path / "checkpoint.pth").write_bytes(contents)
    with pytest.raises(ValueError, match=message):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")


def test_objects_that_could_run_code_are_refused(tmp_path):
    torch.save({"args": argparse.Namespace(lr=1)}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match="holds more than tensors and is not loaded"):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")


def test_another_architecture_is_refused(tmp_path):
    torch.save({"conv1.weight": torch.ones(3)}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match=r"no checkpoint of Restormer, MST, MST\+\+"):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")


def test_only_channel_self_attention_goes_back(tmp_path):
    model = RestormerForImageRestoration(
        RestormerConfig(dim=8, num_blocks=(1, 1, 1, 1), attention="glmha")
    )
    with pytest.raises(ValueError, match="knows csa only"):
        export_checkpoint(model, tmp_path / "back.pth")


def test_an_existing_folder_is_kept_unless_told(tmp_path):
    torch.save(read_golden("mstpp").weights, tmp_path / "checkpoint.pth")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "precious").touch()
    with pytest.raises(FileExistsError):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")
    with pytest.raises(FileExistsError, match="holds no model"):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "precious").exists()
    (tmp_path / "model" / "config.json").touch()
    convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "config.json").stat().st_size > 0
    assert not (tmp_path / "model" / "precious").exists()


@pytest.mark.parametrize("place", [".", ".."])
def test_the_folder_one_is_in_is_never_replaced(tmp_path, monkeypatch, place):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    torch.save(read_golden("mstpp").weights, "checkpoint.pth")
    with pytest.raises(ValueError, match="holds the folder this runs in"):
        convert_checkpoint("checkpoint.pth", place, overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["here", "checkpoint.pth"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("No space left on device")

    torch.save(read_golden("mstpp").weights, tmp_path / "checkpoint.pth")
    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    with pytest.raises(OSError, match="model could not be written: No space left on device"):
        convert_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pth"]
