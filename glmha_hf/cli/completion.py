"""Print shell completion of the commands, their options and the zoo's names, for bash or zsh."""

import argparse
from collections.abc import Iterator

from ..hub.zoo import ZOO

EXAMPLES = """examples:
  eval "$(glmha completion bash)"    # in ~/.bashrc
  eval "$(glmha completion zsh)"     # in ~/.zshrc, after compinit"""

SCRIPT = """_glmha() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local command=${{COMP_WORDS[1]}} words=
    if (( COMP_CWORD == 1 )); then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
        return
    fi
    case "$command $before" in
{choices}
        *" --model"|*" -m") words="{models}" ;;
        *)
            case "$command" in
{options}
            esac
            [[ $word == -* ]] || words=
            [[ "{takers}" == *" $command "* && $word != -* ]] && words="{models}" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _glmha glmha
"""
TAKE_A_MODEL = ("bench", "card", "compress", "evaluate", "export", "info", "profile", "push")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"))


def run(arguments: argparse.Namespace) -> None:
    from . import build_parser

    if arguments.shell == "zsh":
        print("autoload -U +X bashcompinit && bashcompinit")
    print(script(build_parser()), end="")


def script(parser: argparse.ArgumentParser) -> str:
    """Made from the parser itself, so that it has whatever the commands have."""
    commands = dict(_commands(parser))
    options, choices = [], []
    for name, command in commands.items():
        actions = [action for action in command._actions if action.option_strings]
        flags = " ".join(flag for action in actions for flag in action.option_strings)
        options.append(f'                {name}) words="{flags}" ;;')
        for action in actions:
            if action.choices:
                patterns = "|".join(f'"{name} {flag}"' for flag in action.option_strings)
                words = " ".join(map(str, action.choices))
                choices.append(f'        {patterns}) words="{words}" ;;')
    return SCRIPT.format(
        commands=" ".join(commands),
        choices="\n".join(choices),
        options="\n".join(options),
        models=" ".join(ZOO),
        takers=f" {' '.join(TAKE_A_MODEL)} ",
    )


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()
