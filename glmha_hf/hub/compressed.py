"""How a compressed model came to be and what it lost: kept beside its weights, told in its card.

Imports no torch.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..analysis.tables import markdown_table
from ..files import replaced_file
from ..metrics.names import UNITS, format_score

COMPRESSION, SHEET = "compression.json", "compressed.png"


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What one 256×256 input costs, the median of its time in turn, and the scores of a test."""

    parameters: int
    macs: int
    conv_linear_macs: int
    seconds: float
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CompressionRecord:
    """`blocks` have `block`, `level`, `keys`, `head_channels` and the errors `started`, `finished`.

    An error is the share of the energy of what a block's attention is to add; `psnr` is between the
    two models' outputs.
    """

    source: str
    command: str
    images: str
    pictures: int
    minutes: float
    settings: dict[str, Any]
    attention: str | list[str]
    kv_reduction: float | list[float]
    teacher: ModelFacts
    student: ModelFacts
    psnr: float
    test: str
    tested: int
    protocol: str | None
    input_scores: dict[str, float]
    blocks: list[dict[str, Any]]

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        with replaced_file(folder / COMPRESSION) as unfinished:
            unfinished.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "CompressionRecord | None":
        path = folder / COMPRESSION
        if not path.is_file():
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored, dict) or stored.keys() != {each.name for each in fields(cls)}:
            raise ValueError(f"{path} is no record of a compression")
        models = {name: ModelFacts(**stored[name]) for name in ("teacher", "student")}
        return cls(**stored | models)

    def table(self) -> str:
        """Both models' costs and scores."""
        keys = list(self.student.scores)
        header = ["", "parameters", "MACs (G)", "convolutions and linear layers (G)", "seconds"]
        rows = [
            [
                name,
                f"{facts.parameters:,}",
                f"{facts.macs / 1e9:.3f}",
                f"{facts.conv_linear_macs / 1e9:.3f}",
                f"{facts.seconds:.3f}",
                *(format_score(key, facts.scores[key]) for key in keys),
            ]
            for name, facts in ((self.source, self.teacher), ("compressed", self.student))
        ]
        if self.input_scores:
            scores = (format_score(key, self.input_scores[key]) for key in keys)
            rows.insert(0, ["input", "", "", "", "", *scores])
        return markdown_table([*header, *(UNITS[key] for key in keys)], rows, left=1)

    def block_table(self) -> str:
        rows = [
            [
                str(each["block"] + 1),
                str(each["level"] + 1),
                f"{each['keys']} of {each['head_channels']}",
                f"{each['started']:.4f}",
                f"{each['finished']:.4f}",
            ]
            for each in self.blocks
        ]
        return markdown_table(["block", "level", "keys", "started", "finished"], rows, left=0)

    def summary(self) -> str:
        """What was tested, in a sentence, and the table."""
        by = f", protocol `{self.protocol}`" if self.protocol else ""
        return (
            f"On {self.test}, {self.tested} pictures{by}: the outputs of the two models agree to "
            f"{self.psnr:.2f} dB. Costs are those of one 256×256 input.\n\n{self.table()}"
        )


def compression_section(folder: Path) -> str:
    """The card's part on it; nothing for a model that was not compressed."""
    record = CompressionRecord.read(folder)
    if record is None:
        return ""
    settings = ", ".join(f"{name} {value}" for name, value in record.settings.items())
    picture = (
        f"![Input, original, compressed, and their difference]({SHEET})\n\n"
        if (folder / SHEET).is_file()
        else ""
    )
    return (
        f"## Compressed\n\nFrom `{record.source}`, without labels, on {record.pictures} pictures "
        f"of {record.images}, in {record.minutes:.1f} minutes ({settings}).\n\n"
        f"{record.summary()}\n\n{picture}"
        "<details><summary>The share of each attention's energy that is missed, when it was "
        f"started and when it was finished</summary>\n\n{record.block_table()}\n\n</details>\n\n"
        f"```bash\n{record.command}\n```"
    )
