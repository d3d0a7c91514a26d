"""How a model was trained, as its card tells it."""

from ..analysis.tables import markdown_table
from .facts import TrainingRecord


def training_table(record: TrainingRecord) -> str:
    """Data, iterations, time and command of every run behind the weights."""
    return _one_run(record) if len(record.runs) == 1 else _several_runs(record)


def _one_run(record: TrainingRecord) -> str:
    rows = [
        ["data", record.data],
        ["iterations", _iterations(record)],
        ["weights", record.weights],
        ["time", _time(record)],
    ]
    return f"{markdown_table(['', ''], rows)}\n\n```bash\n{record.command}\n```"


def _several_runs(record: TrainingRecord) -> str:
    runs = record.runs
    told = (
        f"In {len(runs)} runs, each from the weights of the one before as far as they fit: "
        f"{sum(run.hours for run in runs):.2f} h in all. The weights are the last one's: "
        f"{record.weights}."
    )
    rows = [
        [str(number), run.data, _iterations(run), _time(run)] for number, run in enumerate(runs, 1)
    ]
    table = markdown_table(["run", "data", "iterations", "time"], rows)
    commands = "\n".join(run.command for run in runs)
    return f"{told}\n\n{table}\n\n```bash\n{commands}\n```"


def _iterations(record: TrainingRecord) -> str:
    return f"{record.iteration:,} of {record.iterations:,}"


def _time(record: TrainingRecord) -> str:
    times = "process" if record.processes == 1 else "processes"
    return f"{record.hours:.2f} h on {record.processes} {times}"
