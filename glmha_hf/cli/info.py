"""The zoo's models and what this installation has; or one model: cost, scores, how it runs."""

import argparse
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..hub.facts import read_evaluation
from ..hub.zoo import BACKBONES, ZOO, ZooModel, list_models
from ..registration import ZOO_CLASSES

EXAMPLES = """MODEL is a zoo name, a model folder or a Hub id. Models that ship need no network.

examples:
  glmha info
  glmha info --task derain
  glmha info glmha-restormer-derain
  glmha info my-model --json"""

PACKAGES = (
    "glmha-hf",
    "torch",
    "transformers",
    "huggingface-hub",
    "safetensors",
    "numpy",
    "pillow",
)
SIDE = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", nargs="?", help="one model, in full")
    parser.add_argument("--task", help="only models that derain, deblur, denoise, …")
    parser.add_argument("--attention", metavar="NAME", help="only models with this attention")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--markdown", action="store_true", help="what ships and its scores, as a Markdown table"
    )


def run(arguments: argparse.Namespace) -> None:
    if arguments.markdown:
        from ..hub.table import zoo_table

        print(zoo_table())
        return
    if arguments.model:
        facts = one_model(arguments.model)
        print(json.dumps(facts, indent=2) if arguments.json else _one_as_text(facts))
        return
    models = list_models(task=arguments.task, attention=arguments.attention)
    facts = {
        "models": [_row(model) for model in models],
        "versions": {package: _version(package) for package in PACKAGES},
        "architectures": {name: classes[1] for name, classes in ZOO_CLASSES.items()},
    }
    print(json.dumps(facts, indent=2) if arguments.json else _all_as_text(facts))


def _row(model: ZooModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "task": model.task,
        "backbone": model.backbone,
        "attention": model.attention,
        "size": model.size,
        "parameters": model.parameters,
        "ships": model.ships,
        "hub_id": model.hub_id,
        "licence": model.licence,
        "description": model.description,
        "metrics": model.metrics,
    }


def _all_as_text(facts: dict[str, Any]) -> str:
    lines = [
        f"{'model':<29}{'task':<9}{'backbone':<11}{'attention':<11}{'size':<9}{'parameters':>10}  "
        "weights"
    ]
    for row in facts["models"]:
        count = f"{row['parameters']:,}" if row["parameters"] else "-"
        place = "ship with the package" if row["ships"] else "none yet"
        lines.append(
            f"{row['name']:<29}{row['task']:<9}{BACKBONES[row['backbone']]:<11}"
            f"{row['attention']:<11}{row['size']:<9}{count:>10}  {place}"
        )
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return "\n".join([*lines, "", versions])


def one_model(name: str) -> dict[str, Any]:
    """Configuration, counts, scores with their commands, licence, and the form that runs here."""
    from ..hub.pull import model_folder

    model = ZOO.get(name)
    if model and not model.ships and not Path(name).exists():
        return {**_row(model), "train_with": model.training_command}
    folder = model_folder(name)
    from ..analysis.complexity import profile
    from ..hub.card import Facts, stored_licence
    from ..inference.exported import exported_file
    from ..inference.network import default_device

    facts = Facts(folder=folder, title=folder.name, name=name, licence=stored_licence(folder))
    cost = profile(facts.config, height=SIDE, width=SIDE).total
    exported = exported_file(folder)
    device = "cpu" if exported else default_device().type
    if exported:
        form = f"exported graph {exported.name}"
    elif not facts.config.fused:
        form = "as published, step by step"
    else:
        form = "streamed through the cache" if device == "cpu" else "fused, whole pictures at once"
    return {
        "name": name,
        "description": facts.description,
        "folder": str(folder),
        "licence": facts.zoo.licence if facts.zoo else facts.licence,
        "configuration": facts.stored_config,
        "parameters": cost.parameters,
        "macs": cost.macs,
        "conv_linear_macs": cost.conv_linear_macs,
        "metrics": read_evaluation(folder),
        "runs": {
            "form": form,
            "device": device,
            "dtype": "float32" if exported else facts.stored_config.get("dtype", "float32"),
        },
    }


def _one_as_text(facts: dict[str, Any]) -> str:
    if "train_with" in facts:
        return f"{facts['description']}\nno weights yet; train with: {facts['train_with']}"
    from ..metrics.names import UNITS, format_score

    lines = [
        facts["description"],
        "",
        f"folder      {facts['folder']}",
        f"licence     {facts['licence'] or 'not told'}",
        f"parameters  {facts['parameters']:,}",
        f"GMACs       {facts['macs'] / 1e9:.3f} for {SIDE}×{SIDE} "
        f"({facts['conv_linear_macs'] / 1e9:.3f} in convolutions and linear layers)",
        f"runs here   {facts['runs']['form']}, {facts['runs']['dtype']} on "
        f"{facts['runs']['device']}",
        "scores      " + ("" if facts["metrics"] else "none were measured"),
    ]
    for row in facts["metrics"]:
        scores = ", ".join(
            f"{UNITS[key]} {format_score(key, float(value))}" for key, value in row["means"].items()
        )
        settings = "".join(f", {key} {value}" for key, value in row["settings"].items())
        lines += [
            f"  {row['set']}{settings} ({row['pictures']} pictures, {row['protocol']}): {scores}",
            f"    {row['command']}",
        ]
    fields = {key: value for key, value in facts["configuration"].items() if key != "auto_map"}
    lines += ["configuration", *(f"  {key}: {json.dumps(fields[key])}" for key in sorted(fields))]
    return "\n".join(lines)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
