"""The `glmha` command. A command's module imports torch only when the command runs."""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..cpu import keep_pages
from ..errors import is_bad_input, one_line
from . import (
    bench,
    card,
    completion,
    compress,
    convert,
    demo,
    evaluate,
    export,
    info,
    paper,
    profile,
    push,
    reconstruct,
    restore,
    view,
)
from .running import check_device

COMMANDS = (
    *(restore, reconstruct, view, demo),
    *(convert, compress, evaluate, profile, bench, export, paper),
    *(card, push, info, completion),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command: 0 when all went well, 2 with one line on bad input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know × or →
            stream.reconfigure(errors="replace")
    parser = build_parser()
    arguments = parser.parse_args(argv)
    arguments.words = sys.argv[1:] if argv is None else list(argv)
    # Before torch comes in: idle threads that spin on slow a shared core tenfold, and those that
    # sleep at once have to be woken for every operation.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if arguments.command != "bench":  # which measures an ordinary process unless told otherwise
        keep_pages()
    try:
        if getattr(arguments, "device", None):
            check_device(arguments.device)
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("glmha: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if arguments.verbose or not is_bad_input(error):
            raise
        print(f"glmha {arguments.command}: {one_line(error)}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-v", "--verbose", action="store_true", help="show where an error arose")
    parser = argparse.ArgumentParser(
        prog="glmha",
        description="Image restoration and hyperspectral reconstruction with channel attention.",
    )
    parser.add_argument("--version", action="version", version=f"glmha-hf {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[-1]
        summary = (command.__doc__ or "").partition("\n")[0]
        subparser = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=command.EXAMPLES,
            parents=[common],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
