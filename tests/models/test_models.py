import subprocess
import sys

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageToImage,
)

from glmha_hf import (
    MstPlusPlusConfig,
    MstPlusPlusForSpectralReconstruction,
    PictureProcessor,
)
from glmha_hf.models.attention import MIXERS
from glmha_hf.models.layers import mrae_loss, pad_to_multiple, rmse_loss
from glmha_hf.models.spectral import shift, shift_back
from tests.models.small import SMALL_CONFIGS, random_inputs, small_model

every_form = pytest.mark.parametrize("form", SMALL_CONFIGS)
every_attention = pytest.mark.parametrize("attention", MIXERS)


@every_form
@every_attention
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 6)])
def test_the_output_has_the_inputs_size(form, attention, size):
    model = small_model(form, attention=attention)
    with torch.no_grad():
        output = model(**random_inputs(model, *size, batch=2))
    assert output.reconstruction.shape == (2, model.config.out_channels, *size)
    assert torch.isfinite(output.reconstruction).all()
    assert output.loss is None


@every_form
@pytest.mark.parametrize("size", [(13, 6), (5, 17)])
def test_odd_sizes_are_reflected_and_cropped(form, size):
    model = small_model(form, attention="glmha")
    inputs = random_inputs(model, *size)
    multiple = model.config.size_multiple
    padded = {name: pad_to_multiple(value, multiple) for name, value in inputs.items()}
    if form == "mst":
        step = model.config.dispersion_step
        plain = shift_back(inputs["mask"], step, size[1])
        inputs["mask"] = shift(plain, step)
        padded["mask"] = shift(pad_to_multiple(plain, multiple), step)
    with torch.no_grad():
        expected = model(**padded).reconstruction[..., : size[0], : size[1]]
        torch.testing.assert_close(model(**inputs).reconstruction, expected)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [0, 0, 0, 0]), (2, [0, 1, 0, 1]), (3, [0, 1, 2, 1]), (4, [0, 1, 2, 3])],
)
def test_reflection_never_runs_out_of_pixels(size, expected):
    row = torch.arange(size).float().expand(1, 1, 5, -1)
    assert pad_to_multiple(row, 4)[0, 0, 0].tolist() == expected
    assert pad_to_multiple(row.mT, 4)[0, 0, :, 0].tolist() == expected


@every_form
@every_attention
def test_every_parameter_learns(form, attention):
    model = small_model(form, attention=attention).train()
    inputs = random_inputs(model, 16, 16)
    labels = torch.rand(1, model.config.out_channels, 16, 16)
    model(**inputs, labels=labels).loss.backward()
    still = [name for name, one in model.named_parameters() if one.grad is None]
    assert still == []


@pytest.mark.parametrize(
    ("loss", "expected"), [("l1", 0.5), ("mrae", 1.0), ("rmse", (0.2**2 / 2 + 0.8**2 / 2) ** 0.5)]
)
def test_labels_give_the_loss_of_the_configuration(loss, expected):
    model = small_model("mst_plus_plus", loss=loss)
    with torch.no_grad():
        model.embedding.weight.zero_()
        model.mapping.weight.zero_()  # so that the reconstruction is zero everywhere
    labels = torch.full((1, 7, 8, 8), 0.2)
    labels[:, :, ::2] = 0.8
    result = model(torch.rand(1, 3, 8, 8), labels=labels)
    assert float(result.loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_mrae_of_zero_labels_is_finite():
    prediction = torch.full((1, 1, 2, 2), 1e-4, requires_grad=True)
    loss = mrae_loss(prediction, torch.zeros(1, 1, 2, 2))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1)
    assert torch.isfinite(prediction.grad).all()


def test_rmse_of_a_perfect_prediction_has_a_gradient():
    prediction = torch.zeros(3, requires_grad=True)
    rmse_loss(prediction, torch.zeros(3)).backward()
    assert torch.equal(prediction.grad, torch.zeros(3))


@every_form
def test_hidden_states_and_attention_maps(form):
    model = small_model(form)
    with torch.no_grad():
        output = model(
            **random_inputs(model, 16, 16), output_hidden_states=True, output_attentions=True
        )
    assert len(output.attentions) == len(model.config.block_levels)
    for one in output.attentions:
        assert one.shape[-1] == one.shape[-2]
        torch.testing.assert_close(one.sum(-1), torch.ones_like(one[..., 0]))
    assert output.hidden_states[0].shape[-2:] == (16, 16)
    assert min(one.shape[-1] for one in output.hidden_states) == 16 // 2 ** max(
        model.config.block_levels
    )


def test_a_tuple_can_be_returned():
    model = small_model("restormer")
    (reconstruction,) = model(**random_inputs(model, 8, 8), return_dict=False)
    assert reconstruction.shape == (1, 3, 8, 8)


@every_form
def test_gradient_checkpointing_changes_nothing(form):
    gradients = []
    for checkpointing in (False, True):
        model = small_model(form, attention="glmha").train()
        if checkpointing:
            model.activation_checkpointing_enable()
        inputs = random_inputs(model, 8, 8)
        labels = torch.rand(
            1, model.config.out_channels, 8, 8, generator=torch.Generator().manual_seed(2)
        )
        model(**inputs, labels=labels).loss.backward()
        gradients.append({name: one.grad for name, one in model.named_parameters()})
    torch.testing.assert_close(gradients[0], gradients[1])


@every_form
@every_attention
def test_saving_and_loading_keeps_every_bit(form, attention, tmp_path):
    model = small_model(form, attention=attention, calibration_kernel_size=1)
    model.save_pretrained(tmp_path)
    loaded, report = AutoModelForImageToImage.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert loaded.config.attention == attention
    assert loaded.config.calibration_kernel_size == 1
    saved, read = model.state_dict(), loaded.state_dict()
    assert saved.keys() == read.keys()
    assert all(torch.equal(saved[name], read[name]) for name in saved)
    for size in ((9, 12), (16, 8)):
        inputs = random_inputs(model, *size)
        with torch.no_grad():
            expected = model(**inputs).reconstruction
            torch.testing.assert_close(loaded(**inputs).reconstruction, expected)


@pytest.mark.parametrize("attention", ["performer", "reformer"])
def test_seeded_attentions_are_the_same_in_another_process(attention, tmp_path):
    model = small_model("restormer", attention=attention)
    model.save_pretrained(tmp_path)
    script = (
        "import sys, torch\n"
        "import glmha_hf\n"
        "from transformers import AutoModel\n"
        "from tests.models.small import random_inputs\n"
        f"model = AutoModel.from_pretrained({str(tmp_path)!r})\n"
        "with torch.no_grad():\n"
        "    for size in ((9, 12), (16, 8)):\n"
        "        output = model(**random_inputs(model, *size)).reconstruction\n"
        "        print(float(output.double().sum()))\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    with torch.no_grad():
        for size, line in zip(((9, 12), (16, 8)), printed, strict=True):
            output = model(**random_inputs(model, *size)).reconstruction
            assert float(line) == pytest.approx(float(output.double().sum()), rel=1e-6)


@every_form
def test_auto_classes_know_the_models(form):
    config = SMALL_CONFIGS[form]()
    assert isinstance(AutoConfig.for_model(config.model_type), type(config))
    assert type(AutoModel.from_config(config)) is type(AutoModelForImageToImage.from_config(config))


def test_missing_and_mismatched_weights_are_reported_and_nothing_else_is_touched(tmp_path):
    model = small_model("restormer")
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(2, 3)  # unlike any fresh weight
    state = model.state_dict()
    del state["embedding.weight"]
    state["output.weight"] = torch.ones(3, 16, 1, 1)
    model.save_pretrained(tmp_path, state_dict=dict(state))
    loaded, report = AutoModel.from_pretrained(
        tmp_path, output_loading_info=True, ignore_mismatched_sizes=True
    )
    assert report["missing_keys"] == {"embedding.weight"}
    assert {key for key, *_ in report["mismatched_keys"]} == {"output.weight"}
    for name, weight in loaded.state_dict().items():
        if name in ("embedding.weight", "output.weight"):
            assert float(weight.abs().max()) < 1
        else:
            assert torch.equal(weight, state[name])


def test_sharded_half_precision_round_trip(tmp_path):
    model = small_model("restormer", attention="glmha").to(torch.bfloat16)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded = AutoModel.from_pretrained(tmp_path, dtype="auto")
    assert loaded.dtype == torch.bfloat16
    assert all(
        torch.equal(weight, model.state_dict()[name])
        for name, weight in loaded.state_dict().items()
    )


def test_device_map(tmp_path):
    model = small_model("mst")
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path, device_map={"": "cpu"})
    inputs = random_inputs(model, 8, 8)
    with torch.no_grad():
        expected = model(**inputs).reconstruction
        torch.testing.assert_close(loaded(**inputs).reconstruction, expected)


def test_a_fresh_model_starts_as_the_published_code_does():
    model = small_model("mst", attention="glmha")
    assert all(
        torch.equal(one, torch.ones_like(one))
        for name, one in model.named_parameters()
        if name.endswith(("temperature", "norm.weight"))
    )
    query = model.network.bottleneck[0].attention.query.weight
    assert 0.015 < float(query.std()) < 0.025


def test_each_sample_of_a_batch_can_have_its_own_mask():
    model = small_model("mst")
    inputs = random_inputs(model, 8, 8, batch=2)
    with torch.no_grad():
        together = model(**inputs).reconstruction
        for index in range(2):
            alone = model(**{name: value[index : index + 1] for name, value in inputs.items()})
            torch.testing.assert_close(together[index : index + 1], alone.reconstruction)
        shared = model(inputs["pixel_values"], mask=inputs["mask"][:1]).reconstruction
    torch.testing.assert_close(shared[:1], together[:1])
    assert not torch.allclose(shared[1:], together[1:])


def test_shift_back_undoes_shift():
    cube = torch.rand(2, 5, 4, 7)
    shifted = shift(cube, 3)
    assert shifted.shape == (2, 5, 4, 7 + 12)
    for band in range(5):
        assert torch.equal(shifted[:, band, :, 3 * band : 3 * band + 7], cube[:, band])
    assert float(shifted.sum()) == pytest.approx(float(cube.sum()), rel=1e-5)
    assert torch.equal(shift_back(shifted, 3, 7), cube)


@pytest.mark.parametrize(
    ("form", "inputs", "message"),
    [
        (
            "restormer",
            {"pixel_values": torch.rand(1, 4, 8, 8)},
            "must be B×3×H×W; they are 1×4×8",
        ),
        ("restormer", {"pixel_values": torch.rand(3, 8, 8)}, "must be B×3×H×W; they are 3×8×8"),
        ("restormer", {"pixel_values": torch.rand(1, 3, 0, 8)}, "they are 1×3×0×8"),
        (
            "restormer",
            {"pixel_values": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)},
            "must be floating-point, not torch.uint8",
        ),
        (
            "restormer",
            {"pixel_values": torch.rand(1, 3, 8, 8), "labels": torch.rand(1, 3, 8, 9)},
            "labels must be 1×3×8×8",
        ),
        ("mst", {"pixel_values": torch.rand(1, 6, 8, 8)}, "mask is missing: give the shifted mask"),
        (
            "mst",
            {"pixel_values": torch.rand(2, 6, 8, 8), "mask": torch.rand(1, 6, 8, 8)},
            "1 or 2×6×8×18; it is 1×6×8×8 .it has the plain mask's width.",
        ),
        (
            "mst_rgb",
            {"pixel_values": torch.rand(1, 3, 8, 8), "mask": torch.rand(1, 6, 8, 8)},
            "makes its own mask",
        ),
        (
            "mst_plus_plus",
            {"pixel_values": torch.rand(1, 3, 8, 8), "mask": torch.rand(1, 3, 8, 8)},
            "takes no mask",
        ),
        (
            "mst_plus_plus_cassi",
            {"pixel_values": torch.rand(1, 6, 8, 8), "mask": torch.rand(1, 6, 8, 18)},
            "must be the plain mask, 1 or 1×6×8×8; it is 1×6×8×18",
        ),
    ],
)
def test_bad_input_is_told_what_would_be_right(form, inputs, message):
    with pytest.raises(ValueError, match=message):
        small_model(form)(**inputs)


def test_a_folder_needs_no_registration_by_hand(tmp_path):
    small_model("restormer").save_pretrained(tmp_path)
    PictureProcessor().save_pretrained(tmp_path)
    assert isinstance(AutoImageProcessor.from_pretrained(tmp_path), PictureProcessor)


def test_labels_are_the_second_argument_of_every_model():
    for form in SMALL_CONFIGS:
        model = small_model(form)
        inputs = random_inputs(model, 8, 8)
        pictures = inputs.pop("pixel_values")
        labels = torch.rand(1, model.config.out_channels, 8, 8)
        assert model(pictures, labels, **inputs).loss is not None


@pytest.mark.parametrize("form", SMALL_CONFIGS)
def test_narrow_weights_take_wide_inputs(form):
    model = small_model(form).to(torch.bfloat16).eval()
    inputs = random_inputs(model, 16, 24)
    wide = {name: values.float() for name, values in inputs.items()}
    narrow = {name: values.to(torch.bfloat16) for name, values in inputs.items()}
    with torch.no_grad():
        output, reference = (model(**each).reconstruction for each in (wide, narrow))
    assert reference.dtype == torch.bfloat16
    torch.testing.assert_close(output.to(torch.bfloat16), reference, rtol=0.05, atol=0.05)


def test_what_is_added_to_a_wide_input_keeps_its_precision():
    model = small_model("restormer").to(torch.bfloat16).eval()
    torch.nn.init.zeros_(model.output.weight)
    picture = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(model(picture).reconstruction, picture)


def test_another_architectures_folder_is_refused(tmp_path):
    model = small_model("restormer")
    model.save_pretrained(tmp_path)
    for loads in (MstPlusPlusForSpectralReconstruction, MstPlusPlusConfig):
        with pytest.raises(ValueError, match="of type restormer, not mst_plus_plus"):
            loads.from_pretrained(tmp_path)


def test_offloaded_weights_are_refused_and_not_guessed(tmp_path):
    model = small_model("restormer")
    model.save_pretrained(tmp_path)
    whole = type(model).from_pretrained(tmp_path, device_map="auto")
    inputs = random_inputs(model, 9, 7)
    with torch.no_grad():
        torch.testing.assert_close(whole(**inputs).reconstruction, model(**inputs).reconstruction)
        apart = type(model).from_pretrained(
            tmp_path,
            device_map="auto",
            max_memory={"cpu": "20KB"},
            offload_folder=str(tmp_path / "offloaded"),
        )
        with pytest.raises(ValueError, match="some of the weights are offloaded"):
            apart(**inputs)
