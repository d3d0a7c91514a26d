"""The closed form: as good as a dense solution, and better than random or the largest weights."""

import pytest
import torch

from glmha_hf.compression import start
from glmha_hf.compression.blocks import Meeting, attended_features, blocks_of, walk
from glmha_hf.compression.budget import uniform_plan
from glmha_hf.compression.compress import Settings, student_of
from glmha_hf.compression.finish import attended, attention_targets, block_error
from glmha_hf.compression.start import least_squares, start_block

from .conftest import FORMS, inputs_of, teacher_of


def test_least_squares_finds_the_dense_solution() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, 6, 6, generator=generator)
    layer = torch.nn.Conv2d(4, 2, 1)
    targets = torch.randn(3, 2, 6, 6, generator=generator)
    with torch.no_grad():
        least_squares(
            lambda place: layer(x[place : place + 1]),
            targets,
            list(layer.parameters()),
            iterations=30,
        )
    columns = torch.cat([x, torch.ones(3, 1, 6, 6)], dim=1).movedim(1, -1).flatten(0, 2)
    dense = torch.linalg.lstsq(columns, targets.movedim(1, -1).flatten(0, 2)).solution
    torch.testing.assert_close(layer.weight[:, :, 0, 0], dense[:4].T, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(layer.bias, dense[4], atol=1e-4, rtol=1e-3)


def meeting_of(
    form: str, *, number: int = 0, reduction: float = 0.5
) -> tuple[Meeting, torch.Tensor]:
    """One block as the teacher's features come to it."""
    teacher = teacher_of(form)
    settings = Settings(kv_reduction=reduction)
    student = student_of(teacher, uniform_plan(teacher.config, reduction), settings)
    met: list[Meeting] = []
    walk(teacher, student, inputs_of(teacher), met.append)
    with torch.no_grad():
        found = Meeting(
            number,
            *(blocks_of(each)[number] for each in (student, teacher)),
            met[number].theirs,
            met[number].theirs,
            met[number].context,
        )
        return found, attention_targets(found)


def test_a_block_s_start_is_near_the_best_that_its_values_can_do() -> None:
    """Against all that MST's output is linear in, solved densely with the same maps."""
    meeting, targets = meeting_of("mst_plus_plus")
    start_block(meeting, targets, start="closed-form")
    layer = meeting.student.attention
    free = [layer.value.weight, layer.project_out.bias, layer.position[2].weight]
    with torch.no_grad():
        ours = attended(meeting, slice(None))
        columns = []
        for parameter in free:
            for place in range(parameter.numel()):
                kept = parameter.view(-1)[place].item()
                parameter.view(-1)[place] = kept + 1.0
                columns.append((attended(meeting, slice(None)) - ours).flatten())
                parameter.view(-1)[place] = kept
    system = torch.stack(columns, dim=1).double()
    left = (targets - ours).flatten().double()
    step = torch.linalg.lstsq(system, left[:, None]).solution
    best = float((left[:, None] - system @ step).square().sum() / targets.square().sum())
    started = block_error(meeting, targets)
    assert best <= started <= 1.15 * best + 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_the_closed_form_beats_random_and_the_largest_weights(form) -> None:
    errors = {}
    for way in ("closed-form", "norm", "random"):
        meeting, targets = meeting_of(form)
        start_block(meeting, targets, start=way)
        errors[way] = block_error(meeting, targets)
    assert errors["closed-form"] < 0.8 * min(errors["norm"], errors["random"])


@pytest.mark.parametrize("form", ["restormer", "mst", "mst_plus_plus"])
def test_the_middle_of_pictures_tells_nearly_as_much(form, monkeypatch) -> None:
    errors = []
    for positions in (start.POSITIONS, 3 * 20**2):
        monkeypatch.setattr(start, "POSITIONS", positions)
        meeting, targets = meeting_of(form)
        assert start.middle_of(targets)[1] == (0 if positions > 1200 else 2)
        start_block(meeting, targets, start="closed-form")
        errors.append(block_error(meeting, targets))
    assert errors[0] * 0.999 <= errors[1] < 1.3 * errors[0]


def test_norm_keeps_the_channels_of_the_largest_weights() -> None:
    meeting, targets = meeting_of("mst_plus_plus")
    teacher, layer = meeting.teacher.attention, meeting.student.attention
    start_block(meeting, targets, start="norm")
    size = teacher.key.weight.norm(dim=1) * teacher.value.weight.norm(dim=1)
    kept = size.topk(4).indices.sort().values
    assert torch.equal(layer.key.weight, teacher.key.weight[kept])
    assert torch.equal(layer.value.weight, teacher.value.weight[kept])


@pytest.mark.parametrize("form", ["restormer", "restormer_features"])
def test_started_keys_are_the_teacher_s(form) -> None:
    meeting, targets = meeting_of(form)
    start_block(meeting, targets, start="closed-form")
    teacher, layer = meeting.teacher.attention.key, meeting.student.attention.key
    for theirs, ours in zip(teacher.parameters(), layer.parameters(), strict=True):
        rows = {tuple(row.flatten().tolist()) for row in theirs}
        assert all(tuple(row.flatten().tolist()) in rows for row in ours)


def test_the_calibration_starts_as_the_identity_and_can_learn() -> None:
    meeting, targets = meeting_of("restormer")
    layer = meeting.student.attention
    x = attended_features(meeting.student, meeting.ours)
    assert torch.equal(layer.mixer.guide(x, layer.query(x)), x)
    (layer(x)[0] - targets).square().mean().backward()
    assert layer.mixer.calibration_linear.weight.grad.abs().sum() > 0
