"""Model cards made of facts: everything in them is read, counted or measured, nothing typed in."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub.repocard_data import eval_results_to_model_index
from PIL import Image

from ..analysis.complexity import Profile, profile
from ..analysis.tables import markdown_table
from ..convert.conversion import processor_for
from ..files import replaced_file
from ..metrics.model_index import index_entries
from ..metrics.names import UNITS, format_score
from ..models.configuration_attention import ChannelAttentionConfig
from ..registration import ZOO_CLASSES, zoo_class
from .compressed import COMPRESSION, compression_section
from .facts import DATA, RECIPE, TrainingRecord, finite, read_evaluation
from .snippets import CREDIT, MADE_BY, PICTURE, snippets
from .trained import training_table
from .zoo import BACKBONES, CARD, CONFIG, WEIGHTS, ZOO, ZooModel

SIDE = 256
SHAPE = ("dim", "num_blocks", "num_stages", "num_refinement_blocks", "num_heads")
PROTOCOL_OF_TASK = {
    "derain": "deraining",
    "deblur": "deblurring",
    "denoise": "denoising",
    "rgb2hsi": "ntire2022",
    "cassi": "cassi",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a card tells of one folder; `name` is what loads it."""

    folder: Path
    title: str
    name: str
    licence: str | None
    with_code: bool = False

    @cached_property
    def stored_config(self) -> dict[str, Any]:
        return json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))

    @cached_property
    def config(self) -> ChannelAttentionConfig:
        kind = ZOO_CLASSES.get(self.stored_config.get("model_type", ""))
        if kind is None:
            raise ValueError(f"{self.folder} holds no model of the zoo")
        return zoo_class(kind[0]).from_dict(self.stored_config)

    @cached_property
    def cost(self) -> Profile:
        return profile(self.config, height=SIDE, width=SIDE)

    @property
    def published_parameters(self) -> int:
        return _published_parameters(self.config.model_type)

    @cached_property
    def training(self) -> TrainingRecord | None:
        return TrainingRecord.read(self.folder)

    @cached_property
    def evaluation(self) -> list[dict[str, Any]]:
        return read_evaluation(self.folder)

    @property
    def zoo(self) -> ZooModel | None:
        return shipped_as(self.folder)

    @property
    def backbone(self) -> str:
        return BACKBONES[self.config.model_type]

    @property
    def attention(self) -> str:
        names = dict.fromkeys(settings.name for settings in self.config.block_settings())
        return " and ".join(name.upper() if name in ("csa", "glmha") else name for name in names)

    @property
    def protocol(self) -> str | None:
        """The protocol that it is scored by tells what it is for."""
        if self.zoo:
            return PROTOCOL_OF_TASK[self.zoo.task]
        if self.training and self.training.protocol:
            return self.training.protocol
        return self.evaluation[0]["protocol"] if self.evaluation else None

    @property
    def kind(self) -> str:
        """What it takes and gives: `picture`, `rgb` to cubes, or `snapshot` to cubes."""
        if "mask" in processor_for(self.config).model_input_names:
            return "snapshot"
        return "picture" if self.config.out_channels in (1, 3) else "rgb"

    @property
    def has_code(self) -> bool:
        return self.with_code or "auto_map" in self.stored_config

    @property
    def description(self) -> str:
        if self.zoo:
            return self.zoo.description
        if self.training and self.training.description:
            return self.training.description
        return f"{self.backbone} with {self.attention} attention."


def shipped_as(folder: Path) -> ZooModel | None:
    """The zoo's model whose weights this folder has."""
    folder = folder.resolve()
    return ZOO.get(folder.name) if folder.parent == WEIGHTS.resolve() else None


def write_card(folder: Path, **settings: Any) -> Path:
    """The card of a folder, from what lies in it; `settings` are those of `model_card`."""
    card = model_card(folder, **settings)
    with replaced_file(folder / CARD) as unfinished:
        unfinished.write_text(card, encoding="utf-8")
    return folder / CARD


def model_card(
    folder: Path,
    *,
    title: str | None = None,
    name: str | None = None,
    repository: str | None = None,
    licence: str | None = None,
    with_code: bool = False,
) -> str:
    """Markdown with its metadata; `with_code` where the repository will have the models' code.

    `name` is what its snippets load the model by: the Hub id where one is given, a zoo name, or
    the folder as it is named here. A licence that is not given is taken from the card before.
    """
    in_zoo = shipped_as(folder)
    usual = folder.name if in_zoo or folder.is_absolute() else str(folder)
    facts = Facts(
        folder=folder,
        title=title or folder.resolve().name,
        name=name or repository or usual,
        licence=licence or stored_licence(folder) or (in_zoo.licence if in_zoo else None),
        with_code=with_code,
    )
    sections = [
        f"---\n{_metadata(facts)}---",
        MADE_BY,
        f"# {facts.title}",
        facts.description,
        _picture(facts),
        _size(facts),
        snippets(facts.name, kind=facts.kind, has_code=facts.has_code, on_hub=bool(repository)),
        _scores(facts),
        _cost(facts),
        compression_section(facts.folder),
        _training(facts),
        _data(facts),
        _limits(facts),
        CITATION,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def stored_licence(folder: Path) -> str | None:
    path = folder / CARD
    if not path.is_file():
        return None
    _, _, rest = path.read_text(encoding="utf-8").partition("---\n")
    try:
        metadata = yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError as error:
        raise ValueError(f"the metadata of {path} are not YAML: {error}") from None
    return metadata.get("license") if isinstance(metadata, dict) else None


def _metadata(facts: Facts) -> str:
    purpose = "image-restoration" if facts.kind == "picture" else "spectral-reconstruction"
    tags = [purpose, *([facts.protocol] if facts.protocol else []), facts.config.model_type]
    names = dict.fromkeys(settings.name for settings in facts.config.block_settings())
    metadata: dict[str, Any] = {
        **({"license": facts.licence} if facts.licence else {}),
        "library_name": "transformers",
        "pipeline_tag": "image-to-image",
        "tags": [*tags, *(f"{name}-attention" for name in names)],
        **({"datasets": datasets} if (datasets := _datasets(facts.folder)) else {}),
    }
    results = [
        entry
        for row in facts.evaluation
        for entry in index_entries(
            row["protocol"], row["set"], row["settings"], finite(row["means"])
        )
    ]
    if results:
        metadata["model-index"] = eval_results_to_model_index(facts.title, results)
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)


def _datasets(folder: Path) -> list[str]:
    """The training set's id where it came from the Hub."""
    path = folder / RECIPE
    data = yaml.safe_load(path.read_text(encoding="utf-8"))["data"] if path.is_file() else {}
    name = data.get("set") or data.get("root") or ""
    is_id = data.get("kind") == "hub" and name.count("/") == 1 and not name.startswith((".", "/"))
    return [name] if is_id and not Path(name).exists() else []


def _picture(facts: Facts) -> str:
    names = (f"{PICTURE}.png", f"{PICTURE}.jpg")
    found = next((name for name in names if (facts.folder / name).is_file()), None)
    if found is None:
        return ""
    with Image.open(facts.folder / found) as image:
        credit = image.info.get(CREDIT)
    shown = f"![Before, and after]({found})"
    return f"{shown}\n\nBefore, and after. Picture: {credit}." if credit else shown


def _size(facts: Facts) -> str:
    """How the model differs from the published one, and what that makes of its size."""
    ours, published = facts.cost.total.parameters, facts.published_parameters
    usual = type(facts.config)()
    shape = [
        (field, _plain(getattr(facts.config, field)), _plain(getattr(usual, field)))
        for field in SHAPE
        if hasattr(usual, field)
    ]
    changed = [f"`{field}` {own} instead of {usual}" for field, own, usual in shape if own != usual]
    if not changed:
        return f"It has the published {facts.backbone}'s width and depth."
    is_compact = ours < published / 2
    return (
        f"This is {'a compact model' if is_compact else 'not the published size'}: "
        f"{ours:,} parameters, where the published {facts.backbone} has {published:,} "
        f"({', '.join(changed)})."
    )


@lru_cache
def _published_parameters(model_type: str) -> int:
    """Of the published model, which has the configuration's defaults."""
    config_class, model_class = map(zoo_class, ZOO_CLASSES[model_type][:2])
    with torch.device("meta"):
        return model_class(config_class()).num_parameters()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _scores(facts: Facts) -> str:
    """Measured by `glmha evaluate`; else what the training's validation gave.

    A compressed model without either has its scores beside the original's, in the section on it.
    """
    blocks = [
        _score_block(
            f"{row['set']}, {row['pictures']} pictures{_told(row['settings'])}, protocol "
            f"`{row['protocol']}`",
            finite(row["means"]),
            {
                "input": finite(row.get("input_means") or {}),
                **{name: finite(each) for name, each in row.get("baseline_means", {}).items()},
            },
            row.get("command"),
        )
        for row in facts.evaluation
    ]
    record = facts.training
    if not blocks and record and record.scores:
        blocks = [
            _score_block(
                f"Validation while it was trained: {record.validation}, protocol "
                f"`{record.protocol}`",
                record.scores,
                {"input": record.input_scores},
                None,
            )
        ]
    if not blocks and (facts.folder / COMPRESSION).is_file():
        return ""
    return "\n\n".join(["## Scores", *(blocks or ["None were taken."])])


def _score_block(
    what: str,
    means: Mapping[str, float],
    others: Mapping[str, Mapping[str, float]],
    command: str | None,
) -> str:
    rows = [
        [name, *(format_score(key, values[key]) for key in means)]
        for name, values in {**others, "output": means}.items()
        if values
    ]
    table = markdown_table(["", *(UNITS[key] for key in means)], rows, left=1)
    made_by = f"\n\n```bash\n{command}\n```" if command else ""
    return f"{what}:\n\n{table}{made_by}"


def _told(settings: Mapping[str, Any]) -> str:
    return "".join(f", {key} {value}" for key, value in settings.items())


def _cost(facts: Facts) -> str:
    total = facts.cost.total
    macs = [f"{count / 1e9:.3f}" for count in (total.macs, total.conv_linear_macs)]
    header = ["parameters", "MACs (G)", "convolutions and linear layers alone (G)"]
    table = markdown_table(header, [[f"{total.parameters:,}", *macs]], left=0)
    command = f"glmha profile {facts.name}"
    return f"## Cost\n\nOne {SIDE}×{SIDE} input:\n\n{table}\n\n```bash\n{command}\n```"


def _training(facts: Facts) -> str:
    record, recipe = facts.training, facts.folder / RECIPE
    parts = [training_table(record)] if record else []
    if recipe.is_file():
        settings = recipe.read_text(encoding="utf-8").rstrip()
        parts.append(
            "<details><summary>The whole recipe, every setting spelled out</summary>\n\n"
            f"```yaml\n{settings}\n```\n\n</details>"
        )
    return "\n\n".join(["## Training", *parts]) if parts else ""


def _data(facts: Facts) -> str:
    path = facts.folder / DATA
    if not path.is_file():
        return ""
    told = path.read_text(encoding="utf-8").strip()
    return "## Data\n\n" + re.sub(r"^(?=#+ )", "##", told, flags=re.MULTILINE)


def _limits(facts: Facts) -> str:
    recipe = facts.folder / RECIPE
    data = yaml.safe_load(recipe.read_text(encoding="utf-8"))["data"] if recipe.is_file() else {}
    lines = []
    if data.get("degradation"):
        name = data["degradation"]["name"].replace("_", " ")
        lines.append(
            f"It has seen only what was degraded by a model of {name}; real degradations of other "
            "kinds, or of several at once, it may leave or smear."
        )
    if facts.kind == "rgb":
        lines.append(
            "Many spectra have one RGB colour. The bands are a guess by the training data, not a "
            "measurement, and presume cameras and lights like those."
        )
    if facts.kind == "snapshot":
        lines.append(
            "It presumes the mask and the dispersion that are given to it; a snapshot taken with "
            "others gives a cube that looks plausible and is wrong."
        )
    if facts.cost.total.parameters < facts.published_parameters / 2:
        lines.append(
            "It is smaller than the published models; its scores are not to be set beside theirs."
        )
    lines.append(
        "What it restores is estimated. It is no evidence of what was there, and not made for "
        "medical, forensic or safety decisions."
    )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


CITATION = """## Citation

GLMHA is the work of Z. Ilyas, N. Akhtar, D. Suter and S. Z. Gilani; Restormer of S. W. Zamir et al.
(CVPR 2022); MST and MST++ of Y. Cai et al. (CVPR 2022, CVPRW 2022). Made with
glmha-hf."""
