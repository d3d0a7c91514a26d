"""Exported programs that hold more than tensors are not loaded."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from glmha_hf.inference.exported import refuse_pickles


class Harmful:
    def __reduce__(self):
        return (print, ("this ran",))


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            made.writestr(f"model/{name}", content)
    return path


def saved(value: object) -> bytes:
    contents = io.BytesIO()
    torch.save(value, contents, pickle_protocol=2)
    return contents.getvalue()


def weights_config(*, use_pickle: bool, path_name: str = "weight_0") -> bytes:
    entry = {"path_name": path_name, "use_pickle": use_pickle}
    return json.dumps({"config": {"weight": entry}}).encode()


def test_tensors_alone_are_fine(tmp_path: Path) -> None:
    files = {
        "data/sample_inputs/model.pt": saved(((torch.zeros(1),), {})),
        "data/weights/model_weights_config.json": weights_config(use_pickle=False),
    }
    refuse_pickles(archive(tmp_path / "model.pt2", files))


@pytest.mark.parametrize(
    "files",
    [
        {"data/sample_inputs/model.pt": saved(Harmful())},
        {"data/weights/model.pt": pickle.dumps(Harmful())},
        {"data/weights/model_weights_config.json": weights_config(use_pickle=True)},
        {
            "data/constants/model_constants_config.json": weights_config(
                use_pickle=False, path_name="custom_obj_0"
            )
        },
    ],
)
def test_pickles_that_need_more_are_refused(files: dict, tmp_path: Path, capsys) -> None:
    with pytest.raises(ValueError, match="holds more than tensors and is not loaded"):
        refuse_pickles(archive(tmp_path / "model.pt2", files))
    assert "this ran" not in capsys.readouterr().out


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_text("no program")
    with pytest.raises(ValueError, match=r"model.pt2 is not a torch.export program"):
        refuse_pickles(path)
