"""Folders to the Hub: models with their cards and, if wanted, their code; data sets; Spaces."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi

from .errors import plainly_told
from .snippets import MADE_BY
from .zoo import CARD, CONFIG

RepositoryType = Literal["model", "dataset", "space"]
# What a model's repository is made of; a checkpoint or a log that lies beside it stays behind.
MODEL_FILES = (
    *("*.json", "*.safetensors", "*.md", "*.yaml", "*.png", "*.jpg", "*.py"),
    *("*.onnx", "*.onnx.data"),
)
# Weights of an earlier push that this one does not have would be found first, or left behind.
REPLACED = ("*.safetensors", "*.safetensors.index.json", "*.onnx", "*.onnx.data", "*.py")
SHARD_SIZE = "5GB"


@dataclass(frozen=True)
class Pushed:
    """Where a folder is on the Hub; `commit` is None where nothing had changed."""

    repository: str
    url: str
    commit: str | None
    pull_request: str | None = None


def push(
    folder: Path,
    repository: str,
    *,
    type: RepositoryType = "model",
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    with_code: bool = False,
    max_shard_size: str | int = SHARD_SIZE,
    message: str | None = None,
) -> Pushed:
    """One commit with what has changed. The repository is made if it is not there.

    The token is the one of `hf auth login` or HF_TOKEN. A name without an owner means one's own.
    """
    check_folder(folder, type)
    api = HfApi()

    def ready(name: str) -> Path:
        """What is to be uploaded; what is wrong with it is found out before anything is made."""
        if type != "model":
            return folder
        place = Path(tempfile.mkdtemp(dir=staged))
        stage_model(
            folder, place, repository=name, with_code=with_code, max_shard_size=max_shard_size
        )
        return place

    with plainly_told(repository), tempfile.TemporaryDirectory() as staged:
        contents = ready(repository)
        made = api.create_repo(
            repository,
            private=private,
            repo_type=type,
            exist_ok=True,
            space_sdk="gradio" if type == "space" else None,
        )
        if made.repo_id != repository:  # which had no owner, and the card names one
            contents = ready(made.repo_id)
        if revision is not None and not create_pr:
            api.create_branch(made.repo_id, branch=revision, repo_type=type, exist_ok=True)
        before = api.repo_info(made.repo_id, revision=revision, repo_type=type).sha
        done = api.upload_folder(
            repo_id=made.repo_id,
            repo_type=type,
            folder_path=contents,
            revision=revision,
            create_pr=create_pr,
            commit_message=message or f"Upload {folder.resolve().name}",
            ignore_patterns=[".*", "**/.*", "**/__pycache__/**", "__pycache__/**"],
            delete_patterns=list(REPLACED) if type == "model" else None,
        )
    return Pushed(
        repository=made.repo_id,
        url=str(made),
        commit=None if done.oid == before else done.oid,
        pull_request=done.pr_url,
    )


def check_folder(folder: Path, type: RepositoryType) -> None:
    """Refuse what is not there before anything is made on the Hub."""
    if not folder.is_dir():
        raise NotADirectoryError(f"there is no folder {folder}")
    if type == "model":
        if not (folder / CONFIG).is_file():
            raise FileNotFoundError(f"{folder} is no model folder: it has no {CONFIG}")
        if not any(any(folder.glob(weights)) for weights in ("*.safetensors", "*.onnx")):
            raise FileNotFoundError(f"{folder} has no weights: no .safetensors and no .onnx file")
    elif not any(folder.iterdir()):
        raise FileNotFoundError(f"{folder} is empty")


def stage_model(
    folder: Path, staged: Path, *, repository: str, with_code: bool, max_shard_size: str | int
) -> None:
    """The folder as it will be on the Hub: weights in shards, code, and a card that names it.

    A card that was written by hand is left alone.
    """
    for pattern in MODEL_FILES:
        for file in sorted(folder.glob(pattern)):
            if file.is_file() and not file.name.startswith("."):
                _link(file, staged / file.name)
    shard_weights(staged, max_shard_size)
    if with_code:
        from .code import add_code

        add_code(staged)
    card = staged / CARD
    if not card.is_file() or MADE_BY in card.read_text(encoding="utf-8"):
        from .card import model_card

        text = model_card(
            folder,
            title=repository.rpartition("/")[2],
            repository=repository,
            with_code=with_code,
        )
        card.unlink(missing_ok=True)
        card.write_text(text, encoding="utf-8")


def shard_weights(folder: Path, max_shard_size: str | int) -> None:
    """Weights in one file larger than that become several, with an index."""
    from huggingface_hub import save_torch_state_dict
    from huggingface_hub.serialization import split_torch_state_dict_into_shards
    from safetensors.torch import load_file

    single = folder / "model.safetensors"
    if not single.is_file():
        return
    state = load_file(single)
    if not split_torch_state_dict_into_shards(state, max_shard_size=max_shard_size).is_sharded:
        return
    save_torch_state_dict(state, folder, max_shard_size=max_shard_size, metadata={"format": "pt"})
    single.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    """The same file without a copy where the disk allows; who changes it unlinks it first."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def described(done: Pushed) -> str:
    """What a push came to, in one line."""
    if done.pull_request:
        return done.pull_request
    return f"{done.url}: " + (f"commit {done.commit}" if done.commit else "nothing had changed")
