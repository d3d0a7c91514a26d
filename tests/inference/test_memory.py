import pytest
import torch

from glmha_hf import MstPlusPlusConfig, RestormerConfig
from glmha_hf.inference.memory import FIXED_BYTES, bytes_per_pixel, free_memory, largest_tile
from glmha_hf.inference.restoration import Restorer
from glmha_hf.models.image_processing_picture import PictureProcessor
from tests.models.small import small_model


def tile(config, budget, **changes):
    size = {"height": 1080, "width": 1920, "batch_size": 1, "itemsize": 4} | changes
    return largest_tile(config, budget=budget, **size)


def test_the_largest_tile_fits_its_budget():
    config = RestormerConfig()
    side = tile(config, 2**30)
    assert side % config.size_multiple == 0
    room = 2**30 - FIXED_BYTES
    assert side**2 * bytes_per_pixel(config, itemsize=4) <= room
    assert (side + 8) ** 2 * bytes_per_pixel(config, itemsize=4) > room


def test_half_the_bytes_and_smaller_batches_leave_room_for_larger_tiles():
    config = RestormerConfig()
    assert tile(config, 2**30, itemsize=2) > tile(config, 2**30) > tile(config, 2**30, batch_size=4)


def test_the_published_form_takes_more():
    assert tile(RestormerConfig(fused=False), 2**30) < tile(RestormerConfig(), 2**30)


def test_a_picture_that_fits_is_not_cut():
    assert tile(MstPlusPlusConfig(), 2**36) is None


def test_a_tiny_budget_still_gives_a_tile():
    assert tile(RestormerConfig(), 1) == 128


def test_there_is_memory_to_speak_of():
    assert free_memory(torch.device("cpu")) > 0


@pytest.mark.parametrize(("budget", "tiles"), [(2**40, 1), (2**20, 9)])
def test_auto_follows_the_budget(budget, tiles):
    restorer = Restorer(
        network=small_model("restormer"), processor=PictureProcessor(), memory_budget=budget
    )
    assert restorer.plan(300, 300).tiles == tiles
