"""The README's own examples, run as they are printed."""

import re
from pathlib import Path

import pytest

from glmha_hf import cli

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"<!-- runs as it is -->\n```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_table_of_weights_is_what_info_prints(capsys):
    assert cli.main(["info", "--markdown"]) == 0
    table = capsys.readouterr().out
    assert table.startswith("| model ")
    assert table in README.read_text()


def test_there_are_snippets_to_run():
    assert len(SNIPPETS) >= 4


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippet_runs(snippet, capsys, tmp_path, monkeypatch):
    (tmp_path / "docs").symlink_to(README.parent / "docs")
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, str(README), "exec"), {})
    assert capsys.readouterr().out
