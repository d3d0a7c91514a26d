"""Upload a model, a data set or a metric module to the Hub: one commit with what has changed."""

import argparse
from pathlib import Path

EXAMPLES = """The token is the one of `hf auth login` or HF_TOKEN. A model's card is made from what
lies in DIR (see glmha card); one written by hand is left alone. With --with-code the models' own
code goes along: AutoModel.from_pretrained(REPO, trust_remote_code=True) then needs transformers
alone. Metric modules are Spaces. A second push without changes commits nothing.

examples:
  glmha push runs/my-derainer/best you/my-derainer --private
  glmha push my-model you/my-model --with-code --max-shard-size 2GB
  glmha push my-model you/my-model --create-pr
  glmha push my-scenes you/my-scenes --type dataset
  glmha push glmha_hf/metrics/modules/restoration_scores you/restoration_scores --type space"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="what to upload; or a zoo name")
    parser.add_argument("repository", metavar="REPO", help="owner/name; name alone: one's own")
    parser.add_argument("--type", choices=("model", "dataset", "space"), default="model")
    parser.add_argument("--private", action="store_true", default=None, help="if it is made now")
    parser.add_argument("--revision", metavar="BRANCH", help="made from main if it is not there")
    parser.add_argument("--create-pr", action="store_true", help="propose it as a pull request")
    parser.add_argument("--with-code", action="store_true", help="the models' code goes along")
    parser.add_argument(
        "--max-shard-size", default="5GB", metavar="SIZE", help="larger weights are split (5GB)"
    )
    parser.add_argument("--message", help="of the commit")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    import json
    from dataclasses import asdict

    from huggingface_hub.utils import disable_progress_bars

    from ..hub.pull import model_folder
    from ..hub.push import described, push

    if arguments.with_code and arguments.type != "model":
        raise ValueError(f"--with-code is for models, not for a {arguments.type}")
    folder = arguments.folder
    if arguments.type == "model" and not folder.exists():
        folder = model_folder(folder)
    disable_progress_bars()
    done = push(
        folder,
        arguments.repository,
        type=arguments.type,
        private=arguments.private,
        revision=arguments.revision,
        create_pr=arguments.create_pr,
        with_code=arguments.with_code,
        max_shard_size=arguments.max_shard_size,
        message=arguments.message,
    )
    print(json.dumps(asdict(done), indent=2) if arguments.json else described(done))
