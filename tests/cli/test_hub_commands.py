"""info, card, push and completion."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import glmha_hf
from glmha_hf.cli import COMMANDS, main
from glmha_hf.hub.zoo import ZOO
from tests.hub.conftest import hub, no_hub  # noqa: F401 - fixtures
from tests.hub.loopback import OWNER, TOKEN
from tests.hub.test_push_and_pull import saved

NAME = f"{OWNER}/small"


@pytest.fixture
def folder(tmp_path: Path, capsys) -> Path:
    made = saved(tmp_path / "small", "restormer")
    capsys.readouterr()  # saving draws a progress bar
    return made


def run(capsys, *words: object) -> tuple[int, str, str]:
    status = main([str(word) for word in words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_info_lists_the_zoo(capsys) -> None:
    status, out, _ = run(capsys, "info")
    assert status == 0
    assert all(name in out for name in ZOO)
    _, out, _ = run(capsys, "info", "--json", "--task", "derain", "--attention", "csa")
    (model,) = json.loads(out)["models"]
    assert model["name"] == "restormer-derain"
    assert model["hub_id"] == "glmha-hf/restormer-derain"


@pytest.mark.parametrize("words", [["info"], ["info", "--json"], ["completion", "bash"]])
def test_light_commands_do_not_import_torch(words: list[str]) -> None:
    script = (
        "import sys\nfrom glmha_hf.cli import main\n"
        f"assert main({words!r}) == 0\n"
        "assert not {'torch', 'transformers', 'numpy', 'huggingface_hub'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_info_of_one_model(capsys, folder: Path) -> None:
    row = {"set": "Rain100L", "protocol": "deraining", "settings": {}, "pictures": 100}
    row |= {"means": {"psnr": 31.256}, "command": "glmha evaluate small"}
    (folder / "evaluation.json").write_text(json.dumps({"results": [row]}))
    _, out, _ = run(capsys, "info", folder)
    assert "Rain100L (100 pictures, deraining): PSNR (dB) 31.26" in out
    assert "glmha evaluate small" in out
    assert "streamed through the cache, float32 on " in out
    _, out, _ = run(capsys, "info", folder, "--json")
    facts = json.loads(out)
    assert facts["configuration"]["dim"] == 8
    assert facts["metrics"] == [row]


def test_info_of_a_model_that_has_no_weights(capsys, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("glmha_hf.hub.zoo.WEIGHTS", tmp_path)
    status, out, _ = run(capsys, "info", "glmha-mst-cassi")
    assert status == 0
    assert "no weights yet; train with: accelerate launch training/train.py" in out
    status, _, err = run(capsys, "info", "glmha-mst-casi")
    assert status == 2
    assert "did you mean glmha-mst-cassi" in err


def test_push_and_use_by_id(capsys, hub, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    status, out, err = run(capsys, "push", folder, "small", "--private")
    assert (status, err) == (0, "")
    assert out == f"{hub.url}/{NAME}: commit {hub.model(NAME).refs['main']}\n"
    assert hub.model(NAME).private
    _, out, _ = run(capsys, "push", folder, NAME)
    assert out == f"{hub.url}/{NAME}: nothing had changed\n"
    _, out, _ = run(capsys, "push", folder, NAME, "--json", "--revision", "v2")
    assert json.loads(out)["repository"] == NAME
    status, out, _ = run(capsys, "profile", NAME, "--size", 16, 16)
    assert status == 0
    assert "16×16 input" in out


def test_a_failed_push_is_one_line_without_the_token(
    capsys,
    hub,  # noqa: F811
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, out, err = run(capsys, "push", folder, "others/small")
    assert (status, out) == (2, "")
    assert err == (
        "glmha push: others/small: the token does not permit this; it needs write access there\n"
    )
    monkeypatch.setenv("HF_TOKEN", "hf_wrongToken")
    status, _, err = run(capsys, "push", folder, NAME)
    assert status == 2
    assert err.count("\n") == 1
    assert TOKEN not in err
    assert "hf_wrongToken" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["push", "missing", "you/model"], "'missing' is neither a folder nor a model of the zoo"),
        (["push", "missing", "you/rows", "--type", "dataset"], "there is no folder missing"),
        (
            ["push", ".", "you/rows", "--type", "dataset", "--with-code"],
            "--with-code is for models",
        ),
        (["card", "missing"], "'missing' is neither a folder nor a model of the zoo"),
        (["card", "."], ". is no model folder: it has no config.json"),
        (["info", "you/model"], "you/model: the Hub (http://127.0.0.1:9) cannot be reached"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    message: str,
    capsys,
    no_hub: None,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["pro"], {"profile"}),
        (["restore", "--mod"], {"--model"}),
        (["restore", "--model", "glmha-restormer-der"], {"glmha-restormer-derain"}),
        (["info", "mst-c"], {"mst-cassi"}),
        (["push", "--type", ""], {"model", "dataset", "space"}),
        (["convert", "x"], set()),
    ],
)
def test_bash_completes(capsys, typed: list[str], expected: set[str]) -> None:
    _, script, _ = run(capsys, "completion", "bash")
    line = " ".join(f"'{word}'" for word in ["glmha", *typed])
    script += f"COMP_WORDS=({line}); COMP_CWORD={len(typed)}; _glmha; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected
    assert not done.stderr


def test_completion_knows_every_command(capsys) -> None:
    _, script, _ = run(capsys, "completion", "zsh")
    assert script.startswith("autoload -U +X bashcompinit")
    assert all(command.__name__.rpartition(".")[2] in script for command in COMMANDS)


def test_a_card_written_by_hand_is_replaced_when_told_to_alone(capsys, folder: Path) -> None:
    card = folder / "README.md"
    assert card.read_text() == "# Small\n"
    status, _, err = run(capsys, "card", folder)
    assert (status, "was not made by this command; add --overwrite" in err) == (2, True)
    assert card.read_text() == "# Small\n"
    assert run(capsys, "card", folder, "--overwrite")[0] == 0
    assert "made by glmha card" in card.read_text()
    assert run(capsys, "card", folder)[0] == 0


def test_the_version(capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"glmha-hf {glmha_hf.__version__}\n"


def test_what_a_terminal_cannot_show_is_no_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "glmha_hf", "restore", "--help"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "SIZE?SIZE" in done.stdout) == (0, True)
