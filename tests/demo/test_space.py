"""The folder that becomes the Space, and the command that opens the same page."""

import re
import runpy
import socket
from pathlib import Path

import pytest

from glmha_hf.cli import demo as command
from glmha_hf.cli import main

from ..hub.loopback import OWNER

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "spaces"


def pins(path):
    lines = path.read_text().splitlines()
    return dict(line.lower().split("==") for line in lines if re.match(r"[\w-]+==", line))


def test_requirements_are_the_tested_versions():
    tested = pins(ROOT / "constraints.txt")
    wanted = pins(SPACE / "requirements.txt")
    first = pins(SPACE / "pre-requirements.txt")
    assert first == {"torch": wanted["torch"]}
    assert {name: tested.get(name) for name in wanted} == wanted


def test_the_card_names_the_version_that_is_installed():
    front_matter = (SPACE / "README.md").read_text().split("---")[1]
    assert "sdk: gradio" in front_matter
    assert f"sdk_version: {pins(SPACE / 'requirements.txt')['gradio']}" in front_matter
    assert "app_file: app.py" in front_matter
    description = re.search(r"short_description: (.*)", front_matter)[1]
    assert len(description) <= 60


def test_the_space_is_put_together_whole(tmp_path):
    push = runpy.run_path(str(SPACE / "push.py"))
    folder = push["assemble"](tmp_path / "space")
    held = {path.name for path in folder.iterdir()}
    requirements = {"requirements.txt", "pre-requirements.txt"}
    assert held == {"app.py", "README.md", "LICENSE", "glmha_hf", *requirements}
    assert (folder / "glmha_hf" / "demo" / "examples" / "LICENCES.md").is_file()
    assert not list(folder.rglob("__pycache__"))


def test_hidden_files_stay_at_home(tmp_path):
    push = runpy.run_path(str(SPACE / "push.py"))
    for name in (".env", "models.py", ".cache/token", "weights/.DS_Store"):
        (tmp_path / "package" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "package" / name).touch()
    push["assemble"].__globals__["PACKAGE"] = tmp_path / "package"
    folder = push["assemble"](tmp_path / "space")
    assert {path.name for path in (folder / "glmha_hf").rglob("*")} == {"models.py", "weights"}


def test_a_space_is_not_put_over_another_folder(tmp_path, capsys):
    push = runpy.run_path(str(SPACE / "push.py"))
    assert push["main"](["--folder", str(tmp_path)]) == 2
    assert "exists" in capsys.readouterr().err


class TestPush:
    @pytest.fixture
    def push(self, monkeypatch):
        """The script, with a small Space in the place of the whole package."""
        functions = runpy.run_path(str(SPACE / "push.py"))

        def assemble(folder):
            (folder / "glmha_hf").mkdir(parents=True)
            (folder / "app.py").write_bytes((SPACE / "app.py").read_bytes())
            (folder / "glmha_hf" / "weights.safetensors").write_bytes(bytes(range(256)) * 8)
            return folder

        monkeypatch.setitem(functions["main"].__globals__, "assemble", assemble)
        return functions["main"]

    def test_the_space_is_created_filled_and_filled_again(self, push, hub, capsys):
        name = f"{OWNER}/demo"
        for _ in range(2):
            assert push([name]) == 0
            assert capsys.readouterr().out.strip() == f"{hub.url}/spaces/{name}"
            space = hub.repositories["spaces", name]
            assert hub.files(space) == {"app.py", "glmha_hf/weights.safetensors"}
        assert hub.read(space, "app.py") == (SPACE / "app.py").read_bytes()

    def test_a_refusal_is_one_line(self, push, hub, capsys):
        assert push(["somebody-else/demo"]) == 2
        told = capsys.readouterr().err
        assert told.startswith("push: somebody-else/demo: the token does not permit this")
        assert told.count("\n") == 1


@pytest.mark.parametrize("port", ["0", "70000"])
def test_a_bad_port_is_told(port, capsys, monkeypatch):
    monkeypatch.setattr(command, "_has", lambda name: True)
    assert main(["demo", "--port", port]) == 2
    assert "--port is a number from 1 to 65535" in capsys.readouterr().err


def test_a_taken_port_is_told(capsys, monkeypatch):
    monkeypatch.setattr(command, "_has", lambda name: True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be listened on" in capsys.readouterr().err


def test_a_missing_extra_is_told(capsys, monkeypatch):
    monkeypatch.setattr(command, "_has", lambda name: name != "gradio")
    assert main(["demo"]) == 2
    told = "the demo needs gradio: pip install 'glmha-hf[demo,spectral]'"
    assert told in capsys.readouterr().err
