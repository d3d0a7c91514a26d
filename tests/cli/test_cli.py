import json
import subprocess
import sys

import pytest
import torch

from glmha_hf.cli import main
from tests.models.small import small_model
from tests.published import read_golden


def run(capsys, *arguments):
    """Exit status, standard output and standard error of one command."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.mark.parametrize("arguments", [["--help"], ["info"], ["profile", "--help"], ["nothing"]])
def test_light_commands_do_not_import_torch(arguments):
    script = (
        "import sys\n"
        "from glmha_hf.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "finally:\n"
        "    assert not {'torch', 'transformers', 'numpy'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == (2 if arguments == ["nothing"] else 0), done.stderr
    assert "AssertionError" not in done.stderr


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "glmha_hf", "info", "--json"], capture_output=True, check=True
    )
    facts = json.loads(done.stdout)
    assert facts["versions"]["torch"].startswith(torch.__version__.partition("+")[0])
    assert facts["architectures"]["mst"] == "MstForSpectralReconstruction"


def test_convert_there_and_back(capsys, tmp_path):
    weights = read_golden("mstpp").weights
    torch.save(weights, tmp_path / "published.pth")
    status, out, _ = run(capsys, "convert", tmp_path / "published.pth", tmp_path / "model")
    assert status == 0
    assert out.startswith("MST++, ")
    status, _, _ = run(
        capsys, "convert", "--to-published", tmp_path / "model", tmp_path / "back.pth"
    )
    assert status == 0
    back = torch.load(tmp_path / "back.pth", weights_only=True)["state_dict"]
    assert all(torch.equal(back[key], weights[key]) for key in weights)


def test_profile_of_a_folder_with_overrides(capsys, tmp_path):
    small_model("restormer").save_pretrained(tmp_path)
    status, out, _ = run(
        capsys, "profile", tmp_path, "attention=glmha", "kv_reduction=0.25", "--size", 32, 40
    )
    assert status == 0
    assert "32×40 input" in out
    assert "level 4, 1 blocks: glmha" in out
    status, out, _ = run(capsys, "profile", tmp_path / "config.json", "--json")
    counted = json.loads(out)
    model = small_model("restormer")
    assert counted["total"]["parameters"] == model.num_parameters()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["profile", "unet"], "architectures are restormer, mst, mst_plus_plus"),
        (["profile", "restormer", "kv_reduction=1.5"], "kv_reduction must be at least 0"),
        (["profile", "restormer", "kv=0.5"], "restormer has no field 'kv'"),
        (["profile", "restormer", "attention"], "'attention' is not FIELD=VALUE"),
        (["profile", "restormer", "attention=flash"], "there is no attention 'flash'"),
        (["profile", "mst", "--size", "0", "4"], "--size needs two positive numbers"),
        (["convert", "missing.pth", "model"], "missing.pth does not exist"),
        (["profile", "restormer", "dim=-4"], "dim must be at least 1, not -4"),
        (["profile", "restormer", "num_heads=0,2,4,8"], "num_heads must be at least 1, not [0, 2"),
        (["profile", "restormer", "alpha=NaN"], "alpha must be a finite number"),
        (["profile", "restormer", "to_dict=3"], "restormer has no field 'to_dict'"),
        (["convert", "{tmp}/text.pth", "{tmp}/model"], "is not a checkpoint"),
        (["convert", "{tmp}/text.pth", "{tmp}"], "exists; add --overwrite to replace it"),
        (["bench", "restormer", "--device", "nowhere"], "--device nowhere: Expected one of cpu, "),
        (["convert", "--to-published", "{tmp}/text.pth", "x.pth"], "is no model folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(arguments, message, capsys, tmp_path):
    (tmp_path / "text.pth").write_text("no checkpoint")
    status, out, err = run(capsys, *(part.format(tmp=tmp_path) for part in arguments))
    assert status == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text.pth"]
