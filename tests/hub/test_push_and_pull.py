"""Models to a Hub and back over real HTTP."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, snapshot_download
from safetensors import SafetensorError
from transformers import AutoImageProcessor, AutoModelForImageToImage

import glmha_hf
from glmha_hf.convert.conversion import processor_for
from glmha_hf.hub.errors import HubError
from glmha_hf.hub.pull import model_folder
from glmha_hf.hub.push import push
from glmha_hf.inference.network import load_network, load_processor
from tests.models.small import random_inputs, small_model

from .loopback import OWNER, TOKEN, Hub

NAME = f"{OWNER}/small"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "small", "restormer")


def saved(folder: Path, form: str, seed: int = 0) -> Path:
    model = small_model(form, seed=seed)
    model.save_pretrained(folder)
    processor_for(model.config).save_pretrained(folder)
    (folder / "README.md").write_text("# Small\n")  # making a card takes longer than all the rest
    return folder


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    there, here = first.state_dict(), second.state_dict()
    return there.keys() == here.keys() and all(torch.equal(there[key], here[key]) for key in here)


def test_a_sharded_model_comes_back_bit_equal(hub: Hub, folder: Path) -> None:
    done = push(folder, "small", max_shard_size="20KB")
    files = hub.files(hub.model(NAME))
    assert done.repository == NAME
    assert done.url == f"{hub.url}/{NAME}"
    assert {"config.json", "preprocessor_config.json", "README.md"} <= files
    assert "model.safetensors.index.json" in files
    assert "model.safetensors" not in files
    assert sum(name.endswith(".safetensors") for name in files) > 2
    assert not any(name.endswith(".py") for name in files)

    network = load_network(NAME, device="cpu")
    assert same_weights(network, small_model("restormer"))
    assert load_processor(NAME, network).to_dict()["channels"] == 3
    by_class = glmha_hf.RestormerForImageRestoration.from_pretrained(NAME)
    by_auto = AutoModelForImageToImage.from_pretrained(NAME)
    assert same_weights(by_class, by_auto)
    assert AutoImageProcessor.from_pretrained(NAME).to_dict()["channels"] == 3


def test_a_second_push_without_changes_commits_nothing(hub: Hub, folder: Path) -> None:
    (folder / "README.md").unlink()
    first = push(folder, NAME, with_code=True)
    commits = list(hub.model(NAME).commits)
    again = push(folder, NAME, with_code=True)
    assert first.commit
    assert again.commit is None
    assert hub.model(NAME).commits == commits


def test_weights_that_are_gone_do_not_stay_behind(hub: Hub, folder: Path) -> None:
    push(folder, NAME, max_shard_size="20KB", with_code=True)
    push(folder, NAME)
    files = hub.files(hub.model(NAME))
    assert [name for name in files if name.endswith(".safetensors")] == ["model.safetensors"]
    assert "model.safetensors.index.json" not in files
    assert not any(name.endswith(".py") for name in files)


def test_checkpoints_and_hidden_files_stay_at_home(hub: Hub, folder: Path) -> None:
    for name in ("optimizer.pt", "old.pth", ".secret.json", "log.txt"):
        (folder / name).write_text("{}")
    push(folder, NAME)
    assert not {"optimizer.pt", "old.pth", ".secret.json", "log.txt"} & hub.files(hub.model(NAME))


def test_the_pushed_folder_itself_is_not_changed(hub: Hub, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    push(folder, NAME, with_code=True, max_shard_size="20KB")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_card_made_by_hand_is_left_alone(hub: Hub, folder: Path) -> None:
    (folder / "README.md").write_text("# My own words\n")
    push(folder, NAME)
    assert hub.read(hub.model(NAME), "README.md") == b"# My own words\n"


def test_revisions(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push(folder, NAME)
    push(saved(tmp_path / "other", "restormer", seed=1), NAME, revision="v2")
    assert same_weights(load_network(NAME), small_model("restormer"))
    assert same_weights(load_network(f"{NAME}@v2"), small_model("restormer", seed=1))
    by_class = glmha_hf.RestormerForImageRestoration.from_pretrained(NAME, revision="v2")
    assert same_weights(by_class, small_model("restormer", seed=1))
    with pytest.raises(HubError, match=f"{NAME} has no such revision"):
        model_folder(f"{NAME}@v3")


def test_a_pull_request_leaves_main_alone(hub: Hub, folder: Path) -> None:
    push(folder, NAME)
    (folder / "README.md").write_text("# New words\n")
    done = push(folder, NAME, create_pr=True)
    assert done.pull_request == f"{hub.url}/{NAME}/discussions/1"
    assert hub.read(hub.model(NAME), "README.md") != b"# New words\n"
    assert hub.read(hub.model(NAME), "README.md", "refs/pr/1") == b"# New words\n"
    proposed = model_folder(f"{NAME}@refs/pr/1")
    assert (proposed / "README.md").read_text() == "# New words\n"


def test_a_model_in_a_subfolder(hub: Hub, folder: Path) -> None:
    made = push(folder, NAME)
    repository = hub.model(made.repository)
    tree = {f"inner/{path}": blob for path, blob in repository.trees[repository.at("main")].items()}
    repository.commit("main", tree, "one folder deeper")
    model = glmha_hf.RestormerForImageRestoration.from_pretrained(NAME, subfolder="inner")
    assert same_weights(model, small_model("restormer"))


def test_an_interrupted_upload_leaves_the_old_revision(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    push(folder, NAME)
    before = hub.model(NAME).refs["main"]
    hub.broken_uploads = True
    with pytest.raises(HubError, match="cannot be reached"):
        push(saved(tmp_path / "other", "restormer", seed=1), NAME)
    hub.broken_uploads = False
    assert hub.model(NAME).refs["main"] == before
    assert same_weights(load_network(NAME), small_model("restormer"))


def test_what_was_pulled_is_there_without_a_network(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(folder, NAME)
    load_network(NAME)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert same_weights(load_network(NAME), small_model("restormer"))
    with pytest.raises(HubError, match="cannot be reached, and the cache does not have it"):
        load_network(f"{OWNER}/other")


def test_private_repositories_need_the_token(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(folder, NAME, private=True)
    assert hub.model(NAME).private
    with monkeypatch.context() as nobody:
        nobody.delenv("HF_TOKEN")
        with pytest.raises(HubError, match=f"{NAME} is not on the Hub .* or it is private"):
            model_folder(NAME)
    assert model_folder(NAME).is_dir()


def test_blobs_on_another_host_never_see_the_token(hub: Hub, folder: Path) -> None:
    push(folder, NAME)
    load_network(NAME)
    fetched = [request for request in hub.requests if request[1].startswith("/blobs/")]
    assert {method for method, _, _ in fetched} >= {"GET"}
    assert all(token is None for method, _, token in fetched if method == "GET")


def test_pickles_and_code_are_not_pulled(hub: Hub, folder: Path) -> None:
    push(folder, NAME, with_code=True)
    repository = hub.model(NAME)
    tree = repository.trees[repository.at("main")]
    more = {"pytorch_model.bin": hub.store(b"pickle"), "model.pt2": hub.store(b"pickle")}
    repository.commit("main", {**tree, **more}, "more files")
    pulled = {path.suffix for path in model_folder(NAME).iterdir()}
    assert pulled == {".json", ".safetensors", ".md"}


def test_data_sets_and_metric_modules(hub: Hub, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    (rows / "test").mkdir(parents=True)
    (rows / "test" / "cube.npy").write_bytes(b"numbers")
    (rows / "README.md").write_text("# Rows\n")
    assert push(rows, "rows", type="dataset").url == f"{hub.url}/datasets/{OWNER}/rows"
    pulled = snapshot_download(f"{OWNER}/rows", repo_type="dataset")
    assert Path(pulled, "test", "cube.npy").read_bytes() == b"numbers"

    module = Path(glmha_hf.__file__).parent / "metrics" / "modules" / "restoration_scores"
    push(module, "restoration_scores", type="space")
    space = hub.repositories["spaces", f"{OWNER}/restoration_scores"]
    assert {"README.md", "app.py", "restoration_scores.py"} <= hub.files(space)
    assert push(module, "restoration_scores", type="space").commit is None


@pytest.mark.parametrize(
    ("token", "repository", "expected"),
    [
        ("hf_wrong", NAME, f"{NAME}: the Hub does not know the token; log in again"),
        (None, f"{OWNER}/missing", f"{OWNER}/missing is not on the Hub"),
        (TOKEN, f"{OWNER}/missing", f"{OWNER}/missing is not on the Hub"),
        (TOKEN, f"{OWNER}/gated", f"{OWNER}/gated is gated: ask for access at"),
    ],
)
@pytest.mark.parametrize(
    "load", [model_folder, glmha_hf.RestormerForImageRestoration.from_pretrained]
)
def test_what_cannot_be_pulled_is_told_in_one_line(
    load, token, repository, expected, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(folder, NAME)
    push(folder, f"{OWNER}/gated")
    hub.model(f"{OWNER}/gated").gated = True
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError) as raised:
        load(repository)
    line = str(raised.value)
    assert line.startswith(expected)
    assert "\n" not in line
    assert "hf_" not in line


@pytest.mark.parametrize(
    ("token", "repository", "expected"),
    [
        ("hf_wrong", NAME, f"{NAME}: the Hub does not know the token"),
        (TOKEN, "others/small", "others/small: the token does not permit this"),
        (None, NAME, f"{NAME}"),
        (TOKEN, "a/b/c", "'a/b/c' is no Hub id: it must be owner/name"),
    ],
)
def test_what_cannot_be_pushed_is_told_in_one_line(
    token, repository, expected, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError) as raised:
        push(folder, repository)
    line = str(raised.value)
    assert line.startswith(expected)
    assert "\n" not in line
    assert "hf_" not in line
    assert not hub.repositories


def test_no_network_is_told_in_one_line(no_hub: None, folder: Path) -> None:
    with pytest.raises(HubError, match=r"^you/model: the Hub .* cannot be reached") as raised:
        model_folder("you/model")
    assert "there is no folder you/model either" in str(raised.value)
    with pytest.raises(HubError, match=r"^you/model: the Hub .* cannot be reached"):
        push(folder, "you/model")


def test_what_cannot_be_made_ready_leaves_no_repository(hub: Hub, folder: Path) -> None:
    with pytest.raises(ValueError, match="5XB"):
        push(folder, NAME, max_shard_size="5XB")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(SafetensorError):
        push(folder, NAME)
    assert not hub.repositories


def test_folders_that_are_no_models_are_refused_before_anything_is_made(
    hub: Hub, tmp_path: Path
) -> None:
    with pytest.raises(NotADirectoryError, match="there is no folder"):
        push(tmp_path / "missing", NAME)
    with pytest.raises(FileNotFoundError, match=r"it has no config.json"):
        push(tmp_path, NAME)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="has no weights"):
        push(tmp_path, NAME)
    assert not hub.requests


@pytest.mark.parametrize("form", ["restormer", "mst_plus_plus", "mst", "mst_plus_plus_cassi"])
def test_code_that_travels_is_complete(hub: Hub, form: str, tmp_path: Path) -> None:
    push(saved(tmp_path / "small", form), NAME, with_code=True)
    repository = hub.model(NAME)
    config = json.loads(hub.read(repository, "config.json"))
    assert set(config["auto_map"]) == {
        "AutoConfig",
        "AutoModel",
        "AutoModelForImageToImage",
        "AutoImageProcessor",
    }
    impl = next(iter(config["custom_pipelines"].values()))["impl"]
    references = [*config["auto_map"].values(), impl]
    files = hub.files(repository)
    assert {f"{reference.partition('.')[0]}.py" for reference in references} <= files
    for name in files:
        if name.endswith(".py"):
            assert b"glmha_hf" not in hub.read(repository, name)


WITHOUT_THE_PACKAGE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "glmha_hf":
            raise ImportError("glmha_hf is not installed here")

sys.meta_path.insert(0, Blocker())
import numpy as np, torch
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageToImage, pipeline

name, task, folder = sys.argv[1:]
inputs = {key: torch.from_numpy(value) for key, value in np.load(folder + "/inputs.npz").items()}
outputs = {}
for auto in (AutoModel, AutoModelForImageToImage):
    model = auto.from_pretrained(name, trust_remote_code=True)
    with torch.no_grad():
        outputs[auto.__name__] = model(**inputs).reconstruction.numpy()
processor = AutoImageProcessor.from_pretrained(name, trust_remote_code=True)
run = pipeline(task, model=name, trust_remote_code=True, device="cpu")
samples = np.load(folder + "/sample.npz")
outputs["pipeline"] = np.asarray(run({key: samples[key] for key in samples}))
np.savez(folder + "/outputs.npz", processor=type(processor).__name__, **outputs)
assert not any(module.startswith("glmha_hf") for module in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["restormer", "mst_plus_plus", "mst"])
def test_a_pushed_model_runs_where_the_package_is_not(hub: Hub, form: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "small", form)
    push(folder, NAME, with_code=True)
    model = small_model(form)
    inputs = random_inputs(model, 16, 24)
    np.savez(tmp_path / "inputs.npz", **{key: value.numpy() for key, value in inputs.items()})
    rng = np.random.default_rng(0)
    if form == "mst":
        sample = {"image": rng.random((16, 24 + 10)), "mask": rng.random((16, 24))}
    else:
        sample = {"image": rng.random((16, 24, 3), dtype=np.float32)}
    np.savez(tmp_path / "sample.npz", **sample)
    task = "image-restoration" if form == "restormer" else "spectral-reconstruction"
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
    }
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(WITHOUT_THE_PACKAGE)
    subprocess.run(
        [sys.executable, str(script), NAME, task, str(tmp_path)],
        check=True,
        cwd=script.parent,
        env=environment,
        timeout=240,
    )
    outputs = np.load(tmp_path / "outputs.npz")
    with torch.no_grad():
        expected = model(**inputs).reconstruction.numpy()
    for auto in ("AutoModel", "AutoModelForImageToImage"):
        np.testing.assert_allclose(outputs[auto], expected, rtol=0, atol=1e-6)
    assert outputs["processor"] == type(processor_for(model.config)).__name__
    processor = processor_for(model.config)
    image = sample.pop("image")
    with torch.no_grad():
        made = model(**processor(image, **sample))
    given = {"images": [image]} if form == "restormer" else {}
    np.testing.assert_allclose(
        outputs["pipeline"], processor.post_process(made, **given)[0], rtol=0, atol=1e-6
    )


def test_a_repository_without_a_model_is_told(hub: Hub) -> None:
    HfApi().create_repo(NAME)
    with pytest.raises(FileNotFoundError, match=f"{NAME} is on the Hub, but holds no model"):
        model_folder(NAME)
