"""What importing the package does, and does not do; each in a process of its own."""

import subprocess
import sys

import pytest

AUTO = (
    "from transformers import AutoConfig, AutoModel, AutoModelForImageToImage, AutoImageProcessor"
)


@pytest.mark.parametrize(
    "imports",
    [
        f"import glmha_hf; {AUTO}",
        f"{AUTO}; AutoModel; AutoImageProcessor; import glmha_hf",
        f"import glmha_hf; import transformers.modeling_layers; {AUTO}",
        f"import glmha_hf; glmha_hf.SnapshotProcessor; {AUTO}",
        f"import glmha_hf; from transformers import pipeline; {AUTO}",
        f"from glmha_hf import MstForSpectralReconstruction; {AUTO}",
    ],
)
def test_auto_classes_know_the_zoo_whatever_is_imported_first(imports):
    script = f"""
{imports}
import torch
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING
for name in ("restormer", "mst", "mst_plus_plus"):
    config = AutoConfig.for_model(name)
    with torch.device("meta"):
        assert type(AutoModel.from_config(config)) is type(
            AutoModelForImageToImage.from_config(config)
        )
    assert IMAGE_PROCESSOR_MAPPING[type(config)]
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_import_itself_is_light():
    script = (
        "import sys, glmha_hf\n"
        "assert not {'torch', 'transformers', 'numpy', 'PIL'} & sys.modules.keys()\n"
        "assert 'RestormerConfig' in dir(glmha_hf)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_public_name_can_be_imported():
    import glmha_hf

    assert all(getattr(glmha_hf, name) is not None for name in glmha_hf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = glmha_hf.Nothing
