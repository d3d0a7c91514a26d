"""transformers pipelines: pictures to restored pictures, pictures or snapshots to cubes.

This file travels to a Hub repository with a pipeline that is saved, so it imports nothing of ours.
"""

import io
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils import get_session
from PIL import Image
from transformers import Pipeline

Sample = dict[str, Any]


class ReconstructionPipeline(Pipeline):
    """Inputs one by one or in batches; those of a batch may have any sizes.

    A sample is a path, a URL, a PIL picture, an array, a tensor, or a row with `image` (and `mask`,
    for snapshots). A list gives a list, a dataset or a generator an iterator.
    """

    _load_image_processor: Any = True
    _load_tokenizer: Any = False
    _load_feature_extractor: Any = False
    _load_processor: Any = False
    _load_video_processor: Any = False
    image_processor: Any

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if hasattr(inputs, "column_names"):  # a dataset of Hugging Face's
            inputs = (row for row in inputs)
        if isinstance(inputs, (list, tuple)):
            if not inputs:
                return []
            inputs = list(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _sanitize_parameters(
        self, mask: Any = None, timeout: float | None = None, **unknown: Any
    ) -> tuple[Sample, Sample, Sample]:
        if unknown:
            raise ValueError(f"{self.task} has no parameter {next(iter(unknown))!r}")
        given = {"mask": mask, "timeout": timeout}
        return {name: value for name, value in given.items() if value is not None}, {}, {}

    # A sample goes through transformers' batching as one object: only so may sizes differ.

    def preprocess(self, input_: Any, **given: Any) -> Any:
        timeout = given.pop("timeout", None)
        if isinstance(input_, dict):
            given |= {"mask": input_["mask"]} if "mask" in input_ else {}
            input_ = input_["image"]
        image = opened(input_, timeout=timeout)
        inputs = dict(self.image_processor(image, **given))
        if len(inputs["pixel_values"]) > 1:
            raise ValueError("a batch in one array: give a list of its pictures")
        return {"sample": {"inputs": inputs, "image": image}}

    def _forward(self, input_tensors: Sample, **_: Any) -> Any:
        samples = input_tensors["sample"]
        if isinstance(samples, list):
            return {"sample": self._reconstruct(samples)}
        return {"sample": self._reconstruct([samples])[0]}

    def _reconstruct(self, samples: list[Sample]) -> list[Sample]:
        """Samples of one size run together."""
        groups: dict[tuple, list[int]] = {}
        for place, sample in enumerate(samples):
            shapes = tuple(tuple(values.shape) for values in sample["inputs"].values())
            groups.setdefault(shapes, []).append(place)
        done: list[Sample] = [{} for _ in samples]
        for places in groups.values():
            inputs = {
                name: torch.cat([samples[place]["inputs"][name] for place in places])
                for name in samples[places[0]]["inputs"]
            }
            dtype = torch.promote_types(self.model.dtype, torch.float32)
            made = self.model(
                **{name: values.to(dtype) for name, values in inputs.items()}
            ).reconstruction
            for place, reconstruction in zip(places, made, strict=True):
                done[place] = {
                    "reconstruction": reconstruction[None],
                    "image": samples[place]["image"],
                }
        return done


class ImageRestorationPipeline(ReconstructionPipeline):
    """Restored pictures, each in the kind, depth, colour and alpha that it came in."""

    def postprocess(self, model_outputs: Sample, **_: Any) -> Any:
        sample = model_outputs["sample"]
        return self.image_processor.post_process(sample["reconstruction"], [sample["image"]])[0]


class SpectralReconstructionPipeline(ReconstructionPipeline):
    """Cubes, bands×H×W float32, of RGB pictures, or of CASSI snapshots with `mask=`."""

    def postprocess(self, model_outputs: Sample, **_: Any) -> Any:
        return self.image_processor.post_process(model_outputs["sample"]["reconstruction"])[0]


def opened(image: Any, *, timeout: float | None = None) -> Any:
    """A URL's picture; anything else as it is, for the processor to read."""
    if not isinstance(image, str) or not image.startswith(("http://", "https://")):
        if isinstance(image, (str, Path)) and not Path(image).is_file():
            raise FileNotFoundError(f"there is no file {image}")
        return image
    answer = get_session().get(image, timeout=timeout or 30, follow_redirects=True)
    if answer.status_code != 200:
        raise ValueError(f"{image} cannot be fetched: the server answered {answer.status_code}")
    return Image.open(io.BytesIO(answer.content))
