"""Learning from a teacher: the objective, its recipe, and a run of each kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from glmha_hf.training.folder import portable
from glmha_hf.training.losses import Objective
from glmha_hf.training.recipe import RecipeError, load_recipe
from glmha_hf.training.start import build_model, build_objective
from tests.training.conftest import ROOT, losses


class Fixed(nn.Module):
    """Gives one output, and remembers what it was given."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, **inputs):
        self.given = inputs
        self.reconstruction = self.value * torch.ones_like(inputs["pixel_values"])
        return self


def test_the_teacher_s_distance_is_weighed_beside_the_labels_loss() -> None:
    teacher = Fixed(0.5)
    output = torch.full((1, 3, 2, 2), 1.0, requires_grad=True)
    inputs = {"pixel_values": torch.zeros(1, 3, 2, 2)}
    objective = Objective({"l1": 2}, teacher=teacher, weight=3)
    value = objective(output, inputs, torch.full((1, 3, 2, 2), 0.9))
    assert value.item() == pytest.approx(3 * 0.5 + 2 * 0.1)
    assert teacher.given == inputs
    value.backward()
    assert teacher.value.grad is None
    torch.testing.assert_close(output.grad, torch.full((1, 3, 2, 2), 5 / 12))


def test_without_labels_only_the_teacher_counts() -> None:
    output, inputs = torch.ones(1, 3, 2, 2), {"pixel_values": torch.zeros(1, 3, 2, 2)}
    assert Objective({"l1": 2}, teacher=Fixed(0.5))(output, inputs, None).item() == 0.5
    assert Objective({}, teacher=Fixed(0.5))(output, inputs, output).item() == 0.5
    assert Objective({"l1": 2})(output, inputs, output - 0.5).item() == 1.0


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["loss={}"], "at least one loss"),
        (["data.kind=unlabelled"], "set loss={}"),
        (["distillation.weight=2"], "lacks 'teacher'"),
        (["distillation.master=x"], "unknown key 'master'"),
    ],
)
def test_a_recipe_says_what_there_is_to_learn(tiny_recipe: Path, overrides, told) -> None:
    with pytest.raises(RecipeError, match=told):
        load_recipe(tiny_recipe, overrides)


def test_a_record_names_the_teacher_without_this_machine_s_path(tiny_recipe: Path) -> None:
    recipe = load_recipe(tiny_recipe, ["distillation.teacher=/somewhere/teacher"])
    assert portable(recipe).distillation.teacher == "path/to/teacher"


@pytest.fixture
def distill(train: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs training/distill.py in this process, on the same `train` as the tests'."""
    monkeypatch.syspath_prepend(ROOT / "training")
    script = importlib.import_module("distill")
    monkeypatch.setattr(script, "train", lambda arguments: train(*arguments))
    return lambda *arguments: script.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def teacher(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = load_recipe(tiny_recipe, ["validation=null"])
    folder = tmp_path_factory.mktemp("teachers") / "teacher"
    build_model(recipe).save_pretrained(folder)
    return folder


def test_a_student_that_is_the_teacher_has_nothing_to_learn(
    tiny_recipe: Path, photographs: Path, teacher: Path, tmp_path: Path, distill
) -> None:
    """Inputs alone will do; the learning rate is zero, so that it stays so."""
    assert (
        distill(
            tiny_recipe,
            f"teacher={teacher}",
            f"init_from={teacher}",
            f"output={tmp_path}",
            "loss={}",
            f"data={{kind: unlabelled, root: {photographs}, workers: 0}}",
            "validation=null",
            "learning_rate.peak=0",
        )
        == 0
    )
    assert len(losses(tmp_path)) == 12
    assert max(losses(tmp_path)) < 1e-5


def test_labels_and_teacher_are_learnt_together(
    tiny_recipe: Path, teacher: Path, tmp_path: Path, train, distill
) -> None:
    """With the same patches the loss grows by the teacher's part, in proportion to its weight."""
    common = ("validation=null", "seed=3", "stages=[{iterations: 1, patch: 16, batch: 2}]")
    assert train(tiny_recipe, f"output={tmp_path / '0'}", *common) == 0
    for weight in (1, 3):
        told = (f"teacher={teacher}", f"weight={weight}", f"output={tmp_path / str(weight)}")
        assert distill(tiny_recipe, *told, *common) == 0
    (without,), (once,), (thrice,) = (losses(tmp_path / name) for name in ("0", "1", "3"))
    assert once > without > 0
    assert thrice - without == pytest.approx(3 * (once - without), rel=1e-4)


def test_unlabelled_pictures_are_not_scored(tiny_recipe: Path, distill, capsys) -> None:
    kind = "unlabelled"
    words = ("teacher=x", "loss={}", f"data.kind={kind}", "data.degradation=null")
    assert distill(tiny_recipe, *words, f"validation.kind={kind}") == 2
    assert "cannot be scored" in capsys.readouterr().err


def test_a_teacher_of_another_kind_is_refused(tiny_recipe: Path, teacher: Path) -> None:
    recipe = load_recipe(tiny_recipe, [f"distillation.teacher={teacher}"])
    gray = ["model.out_channels=1", "model.in_channels=1", "data.grayscale=true"]
    student = build_model(load_recipe(tiny_recipe, gray))
    with pytest.raises(
        RecipeError, match="teacher maps 3 channels to 3, the student 1 channels to 1"
    ):
        build_objective(recipe, student, torch.device("cpu"))


def test_without_a_teacher_nothing_is_learnt(tiny_recipe: Path, distill, capsys) -> None:
    assert distill(tiny_recipe) == 2
    assert "give teacher=MODEL" in capsys.readouterr().err
