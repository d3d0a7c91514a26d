"""Count a model's parameters and multiply-accumulates, in total and level by level."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.pull import model_folder
from ..registration import ZOO_CLASSES, zoo_class

if TYPE_CHECKING:
    from ..analysis.complexity import Cost, Profile
    from ..models.configuration_attention import ChannelAttentionConfig

EXAMPLES = """Every MAC counts the products of queries, keys and values too; papers usually
print the convolutions and linear layers alone.

examples:
  glmha profile restormer
  glmha profile glmha-restormer-derain
  glmha profile restormer attention=glmha kv_reduction=0.5 --size 720 1280
  glmha profile my-model --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL_OR_CONFIG",
        help="a folder, a config.json, a zoo name, a Hub id, or an architecture: "
        + ", ".join(ZOO_CLASSES),
    )
    parser.add_argument("overrides", metavar="FIELD=VALUE", nargs="*", help="configuration fields")
    parser.add_argument(
        "--size", nargs=2, type=int, default=(256, 256), metavar=("H", "W"), help="input size"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    if min(arguments.size) < 1:
        raise ValueError(f"--size needs two positive numbers, not {arguments.size}")
    config = read_config(arguments.model, arguments.overrides)
    from ..analysis.complexity import profile

    counted = profile(config, height=arguments.size[0], width=arguments.size[1])
    print(json.dumps(_as_json(counted), indent=2) if arguments.json else _as_table(counted))


def read_config(name: str, overrides: list[str]) -> "ChannelAttentionConfig":
    fields = dict(map(_parse_override, overrides))
    path = Path(name)
    if name not in ZOO_CLASSES and not path.is_file():
        path = _folder(name) / "config.json"
    if path.is_file():
        stored = json.loads(path.read_text())
        if stored.get("model_type") not in ZOO_CLASSES:
            raise ValueError(
                f"{path} is of model_type {stored.get('model_type')!r}, not of the zoo"
            )
        fields = stored | fields
        name = fields.pop("model_type")
    config_class = zoo_class(ZOO_CLASSES[name][0])
    known = vars(config_class())
    unknown = [field for field in fields if field not in known or field == "model_type"]
    if unknown:
        raise ValueError(f"{name} has no field {unknown[0]!r}")
    return config_class(**fields)


def _folder(name: str) -> Path:
    try:
        return model_folder(name)
    except ValueError as error:
        raise ValueError(f"{error}; architectures are {', '.join(ZOO_CLASSES)}") from None


def _parse_override(text: str) -> tuple[str, Any]:
    field, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not FIELD=VALUE")
    try:
        return field, json.loads(value)
    except json.JSONDecodeError:
        return field, [_plain(each) for each in value.split(",")] if "," in value else value


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _as_json(counted: "Profile") -> dict[str, Any]:
    return {**asdict(counted), "outside_blocks": asdict(counted.outside_blocks)}


def _as_table(counted: "Profile") -> str:
    rows = []
    for level in counted.levels:
        name = f"level {level.level}, {level.blocks} blocks"
        rows.append((f"{name}: {level.attention}", level.attention_cost))
        rows.append((f"{name}: feed-forward", level.feed_forward_cost))
    rows.append(("embedding, norms, resampling, output", counted.outside_blocks))
    rows.append(("total", counted.total))
    title = f"{counted.height}×{counted.width} input"
    lines = [f"{title:<38}{'parameters':>14}{'GMACs':>10}{'conv+linear':>13}"]
    return "\n".join(lines + [_row(name, cost) for name, cost in rows])


def _row(name: str, cost: "Cost") -> str:
    return (
        f"{name:<38}{cost.parameters:>14,}{cost.macs / 1e9:>10.3f}"
        f"{cost.conv_linear_macs / 1e9:>13.3f}"
    )
