"""The training script as configs/accelerate/fsdp.yaml starts it, sharded over CPU processes.

Accelerate turns FSDP on for GPUs alone; torch shards on CPUs just as well.
"""

import os
import sys
from typing import Any

import yaml
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from tests.scripts import ROOT, load_script

begin = AcceleratorState.__init__


def begin_dealt_out(self: AcceleratorState, *args: Any, **kwargs: Any) -> None:
    begin(self, *args, **kwargs)
    if (plugin := kwargs.get("fsdp_plugin")) is not None:
        assert self.distributed_type == DistributedType.MULTI_CPU
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        self.distributed_type = DistributedType.FSDP
        self.fsdp_plugin = plugin


if __name__ == "__main__":
    settings = yaml.safe_load((ROOT / "configs/accelerate/fsdp.yaml").read_text())["fsdp_config"]
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    os.environ.update({name.upper(): str(value) for name, value in settings.items()})
    AcceleratorState.__init__ = begin_dealt_out  # type: ignore[method-assign]
    sys.exit(load_script("train").main(sys.argv[1:]))
