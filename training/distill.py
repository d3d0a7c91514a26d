"""Train a model after another one's outputs, with labels beside them or without.

    accelerate launch training/distill.py RECIPE teacher=MODEL key=value…

It is `train.py` with `distillation.teacher` set: recipes, resume, validation and results are the
same. `init_from` is where the student starts, such as what `glmha compress` made; `loss={}` leaves
the labels out, and `data.kind=unlabelled` does without any.
"""

from __future__ import annotations

import sys

from train import main as train

from glmha_hf.training.recipe import load_recipe


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    named = [
        f"distillation.{each}" if each.startswith(("teacher=", "weight=")) else each
        for each in arguments
    ]
    try:
        taught = load_recipe(named[0], named[1:]).distillation
    except (ValueError, OSError) as error:
        print(f"distill: {error}", file=sys.stderr)
        return 2
    if taught is None:
        print("distill: there is nobody to learn from: give teacher=MODEL", file=sys.stderr)
        return 2
    return train(named)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
