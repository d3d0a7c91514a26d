"""A GLMHA model from a CSA one: where to cut, how to start, how to finish."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

import torch

from ..evaluation.restorers import fingerprint
from ..inference.network import load_network, load_processor
from ..models.attention import GuidedLowRankAttention
from ..models.configuration_attention import ChannelAttentionConfig
from ..models.modeling_base import ChannelAttentionModel
from ..models.modeling_restormer import RestormerAttention
from ..registration import model_class_of
from .blocks import Attention, Inputs, Meeting, blocks_of, walk
from .budget import Grain, Measure, Plan, plan_budget, uniform_plan
from .curves import measure_curves
from .finish import Distillation, attention_targets, block_error, finish_block
from .pictures import Crops, Source, open_source, set_aside
from .start import Start, start_block
from .work import BlockErrors, Work

Report = Callable[[str], None]
CURVE_PICTURES = 8  # that tell what each block's ranks are worth


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to compress: exactly one of `kv_reduction`, `macs` and `parameters` says how much.

    `kv_reduction` is one number, one for each level or one for each block; `macs` and `parameters`
    are shares of the model's own, which the ranks of levels or blocks (`per`) are chosen to meet.
    """

    kv_reduction: float | tuple[float, ...] | None = None
    macs: float | None = None
    parameters: float | None = None
    per: Grain = "level"
    alpha: float = 0.6
    start: Start = "closed-form"
    crop: int = 128
    pictures: int = 64  # held in memory, at most
    calibration: int = 16  # crops that blocks are cut, started and finished on
    block_steps: int = 50
    steps: int = 0  # end to end
    seed: int = 0

    def __post_init__(self) -> None:
        asked = (self.kv_reduction, self.macs, self.parameters)
        if sum(each is not None for each in asked) != 1:
            raise ValueError("say how much to cut by one of kv_reduction, macs and parameters")
        reductions = self.kv_reduction
        for each in reductions if isinstance(reductions, tuple) else (reductions,):
            if each is not None and not 0 <= each < 1:
                raise ValueError(f"kv_reduction must be at least 0 and below 1, not {each}")
        for name in ("macs", "parameters"):
            share = getattr(self, name)
            if share is not None and not 0 < share < 1:
                raise ValueError(
                    f"a budget is a share of the model's {name} within 0 and 1, not {share}"
                )
        for name, known in (("start", get_args(Start)), ("per", get_args(Grain))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {' or '.join(known)}, not {getattr(self, name)!r}")
        for name in ("crop", "pictures", "calibration"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} starts at 1, not {getattr(self, name)}")
        for name in ("block_steps", "steps", "alpha", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} starts at 0, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Compression:
    """A compressed model and how it came about."""

    model: ChannelAttentionModel
    teacher: ChannelAttentionModel
    processor: Any
    settings: Settings
    plan: Plan
    blocks: list[BlockErrors]
    source: Source
    held_out: Source
    seconds: float


def compress(
    model: Any,
    images: Any,
    *,
    processor: Any = None,
    degradation: str | None = None,
    protocol: str | None = None,
    mask: str | Path | None = None,
    hold_out: bool = False,
    folder: str | Path | None = None,
    device: torch.device | str | None = None,
    report: Report = lambda _: None,
    **settings: Any,
) -> Compression:
    """A GLMHA model that stands in for a CSA one; no labels are needed.

    `model` is a folder, a zoo name, a Hub id or a model; `images` are what it is given, a folder or
    a list of pictures (clean ones where a `degradation` is named). With `hold_out` every fifth
    picture, eight at most, is set aside. With a `folder`, finished parts are kept there, and the
    same call goes on after a kill. `settings` are those of `Settings`.
    """
    chosen = Settings(**settings)
    teacher, processor = open_teacher(model, processor, device=device)
    check_crop(teacher, chosen.crop)
    source = open_source(
        images,
        processor,
        degradation=degradation,
        protocol=protocol,
        mask=None if mask is None else Path(mask),
    )
    source, aside = set_aside(source) if hold_out else (source, source.part([]))
    work = Work(
        folder,
        {
            "model": fingerprint(teacher, processor, teacher.device.type),
            "settings": asdict(chosen),
            "pictures": hashlib.sha256(
                "\n".join([source.name, *source.names]).encode()
            ).hexdigest(),
            "mask": None if mask is None else hashlib.sha256(Path(mask).read_bytes()).hexdigest(),
        },
    )
    report(f"reading {min(chosen.pictures, len(source))} pictures")
    crops = Crops(source, size=chosen.crop, pictures=chosen.pictures, seed=chosen.seed)
    inputs = {
        name: values.to(teacher.device) for name, values in crops.spread(chosen.calibration).items()
    }
    plan = work.plan(lambda: make_plan(teacher, inputs, chosen, report))
    student = student_of(teacher, plan, chosen)
    blocks = fit_blocks(teacher, student, inputs, chosen, work, report)
    if blocks and chosen.steps:
        state = work.file("finish.pt")
        Distillation(teacher, student, crops, chosen.steps, state=state).run(report)
    return Compression(
        model=student.eval(),
        teacher=teacher,
        processor=processor,
        settings=chosen,
        plan=plan,
        blocks=blocks,
        source=source,
        held_out=aside,
        seconds=work.spent(),
    )


def open_teacher(
    model: Any, processor: Any, *, device: torch.device | str | None
) -> tuple[ChannelAttentionModel, Any]:
    """The model in float32 and its processor; any but a CSA model is refused."""
    teacher = load_network(model, dtype=torch.float32, device=device)
    if not isinstance(teacher, ChannelAttentionModel):
        raise ValueError(f"{model} is an exported model: compress the one that it was made from")
    names = {settings.name for settings in teacher.config.block_settings()}
    if names != {"csa"}:
        others = ", ".join(sorted(names - {"csa"}))
        raise ValueError(f"only a model with CSA attention is compressed; this one has {others}")
    return teacher.eval(), load_processor(model, teacher) if processor is None else processor


def check_crop(model: ChannelAttentionModel, crop: int) -> None:
    """Crops need no padding, and are as large at every level as the calibration's pooling is."""
    config = model.config
    least = max(config.size_multiple, config.calibration_kernel_size * 2 ** (config.num_levels - 1))
    if crop % config.size_multiple or crop < least:
        raise ValueError(
            f"crops for this model are multiples of {config.size_multiple} from {least} on, "
            f"not {crop}"
        )


def make_plan(
    teacher: ChannelAttentionModel, inputs: Inputs, settings: Settings, report: Report
) -> Plan:
    config = cast(ChannelAttentionConfig, teacher.config)
    if settings.kv_reduction is not None:
        return uniform_plan(config, settings.kv_reduction)
    few = {name: values[:CURVE_PICTURES] for name, values in inputs.items()}
    curves = measure_curves(teacher, few, report=report)
    measure: Measure = "parameters" if settings.macs is None else "macs"
    share = settings.parameters if settings.macs is None else settings.macs
    assert share is not None
    return plan_budget(config, curves, share=share, measure=measure, grain=settings.per)


def student_of(
    teacher: ChannelAttentionModel, plan: Plan, settings: Settings
) -> ChannelAttentionModel:
    """The planned model with the teacher's weights where they fit, and A = 0.

    Of the calibration network the last layer is zero: X̲ is X at first, and gradients flow.
    """
    teacher_config = cast(ChannelAttentionConfig, teacher.config)
    config = plan.apply(teacher_config, alpha=settings.alpha)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        student = model_class_of(config)(config)
    fresh = student.state_dict()
    fitting = {
        name: value
        for name, value in teacher.state_dict().items()
        if name in fresh and fresh[name].shape == value.shape
    }
    student.load_state_dict(fitting, strict=False)
    for block in blocks_of(student):
        if isinstance(block.attention.mixer, GuidedLowRankAttention):
            torch.nn.init.zeros_(block.attention.mixer.calibration_linear.weight)
    return student.to(teacher.device).eval()


def fit_blocks(
    teacher: ChannelAttentionModel,
    student: ChannelAttentionModel,
    inputs: Inputs,
    settings: Settings,
    work: Work,
    report: Report,
) -> list[BlockErrors]:
    """Start and finish every block that changes, one after the other, as the pictures reach it."""
    levels = teacher.config.block_levels
    found: list[BlockErrors] = []

    def visit(meeting: Meeting) -> None:
        layer, number = meeting.student.attention, meeting.number
        if is_unchanged(layer):
            return
        errors = work.restore(number, layer)
        if errors is None:
            targets = attention_targets(meeting)
            start_block(meeting, targets, start=settings.start)
            started = block_error(meeting, targets)
            finish_block(meeting, targets, steps=settings.block_steps, seed=settings.seed + number)
            rank, width = layer.mixer.kv_channels // layer.heads, layer.mixer.head_channels
            finished = block_error(meeting, targets)
            errors = BlockErrors(number, levels[number], rank, width, started, finished)
            work.keep(layer, errors)
        report(
            f"block {number + 1} of {len(levels)}, {errors.keys} of {errors.head_channels} keys: "
            f"error {errors.started:.4f}, finished {errors.finished:.4f}"
        )
        found.append(errors)

    walk(teacher, student, inputs, visit)
    return found


def is_unchanged(layer: Attention) -> bool:
    """Whether the layer gives what the teacher's does already: CSA, or all of Restormer's keys."""
    if not isinstance(layer.mixer, GuidedLowRankAttention):
        return True
    whole = layer.heads * layer.mixer.head_channels
    return isinstance(layer, RestormerAttention) and layer.mixer.kv_channels == whole
