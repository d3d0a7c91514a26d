"""Patches: right pixels, right borders, and the same for the same seed."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from glmha_hf.data.degradations import GaussianNoise, Rain
from glmha_hf.data.degradations.base import gaussian_blur
from glmha_hf.data.pairs import CleanFolder, FolderPairs, Pair
from glmha_hf.data.patches import (
    PairCache,
    PatchDataset,
    PatchRequest,
    StreamingPatches,
    apply_symmetry,
    cut_with_margin,
)
from glmha_hf.data.schedule import ProgressiveBatches
from tests.data.scenes import draw_scene, save_scenes


class _Defocus:
    margin = 5

    def __call__(self, clean, rng):
        return gaussian_blur(clean, 1.5)


class Pictures:
    """Pairs in memory."""

    def __init__(self, *pairs):
        self.pairs = pairs
        self.loads = 0

    @property
    def paired(self):
        return self.pairs[0].input is not None

    def __len__(self):
        return len(self.pairs)

    def name(self, index):
        return f"picture {index}"

    def load(self, index):
        self.loads += 1
        return self.pairs[index]


@pytest.fixture
def rainy(clean_folder):
    return PatchDataset(CleanFolder(clean_folder), patch_size=48, degradation=Rain(), seed=5)


class TestPatchDataset:
    def test_gives_float_tensors_in_range(self, rainy):
        sample = rainy[0]
        assert set(sample) == {"pixel_values", "labels"}
        for tensor in sample.values():
            assert tensor.shape == (3, 48, 48)
            assert tensor.dtype == torch.float32
            assert tensor.min() >= 0
            assert tensor.max() <= 1

    def test_differs_by_seed_epoch_and_index_and_repeats_otherwise(self, rainy):
        first = rainy[1]["labels"]
        torch.testing.assert_close(rainy[1]["labels"], first, rtol=0, atol=0)
        assert not torch.equal(rainy[2]["labels"], first)
        rainy.set_epoch(1)
        assert not torch.equal(rainy[1]["labels"], first)
        rainy.set_epoch(0)
        torch.testing.assert_close(rainy[1]["labels"], first, rtol=0, atol=0)
        other = PatchDataset(rainy.source, patch_size=48, degradation=Rain(), seed=6)
        assert not torch.equal(other[1]["labels"], first)

    def test_does_not_depend_on_the_number_of_workers(self, rainy):
        alone, shared = (
            [batch["pixel_values"] for batch in DataLoader(rainy, batch_size=2, num_workers=n)]
            for n in (0, 2)
        )
        for one, other in zip(alone, shared, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)

    def test_workers_that_outlive_an_epoch_see_the_next(self, rainy):
        loader = DataLoader(rainy, batch_size=5, num_workers=1, persistent_workers=True)
        first = next(iter(loader))["labels"]
        rainy.set_epoch(3)
        second = next(iter(loader))["labels"]
        expected = torch.stack([rainy[index]["labels"] for index in range(5)])
        assert not torch.equal(first, second)
        torch.testing.assert_close(second, expected, rtol=0, atol=0)

    def test_pairs_are_cut_and_turned_together(self):
        scene = draw_scene()
        dataset = PatchDataset(Pictures(Pair(target=scene, input=255 - scene)), patch_size=32)
        for epoch in range(8):
            sample = dataset[PatchRequest(epoch, 0, 32)]
            torch.testing.assert_close(sample["pixel_values"], 1 - sample["labels"])

    def test_all_eight_symmetries_occur(self):
        scene = draw_scene(32, 32)
        dataset = PatchDataset(Pictures(Pair(scene, scene)), patch_size=32)
        seen = {dataset[PatchRequest(e, 0, 32)]["labels"].numpy().tobytes() for e in range(100)}
        expected = {
            np.ascontiguousarray(
                apply_symmetry(scene, s).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
            ).tobytes()
            for s in range(8)
        }
        assert seen == expected
        assert len(expected) == 8

    def test_without_augmentation_patches_are_plain_crops(self):
        scene = draw_scene()
        plain = PatchDataset(Pictures(Pair(scene, scene)), patch_size=96, augment=False)
        patch = np.rint(plain[0]["labels"].numpy().transpose(1, 2, 0) * 255)
        assert any(np.array_equal(patch, scene[:, left : left + 96]) for left in range(17))

    def test_the_label_is_the_clean_picture_and_the_input_is_degraded(self):
        flat = Pictures(Pair(np.full((60, 60, 3), 100, np.uint8)))
        sample = PatchDataset(flat, patch_size=50, degradation=GaussianNoise(sigma=20))[0]
        torch.testing.assert_close(sample["labels"], torch.full((3, 50, 50), 100 / 255))
        noise = sample["pixel_values"] - sample["labels"]
        assert float(noise.std()) * 255 == pytest.approx(20, rel=0.05)

    def test_a_degradation_sees_past_the_patch(self):
        """Up to its border the patch is what degrading the whole picture would give there."""
        scene = draw_scene()
        dataset = PatchDataset(
            Pictures(Pair(scene)), patch_size=20, degradation=_Defocus(), augment=False
        )
        whole = gaussian_blur(np.pad(scene, [(5, 5), (5, 5), (0, 0)], "symmetric") / 255.0, 1.5)
        places = np.lib.stride_tricks.sliding_window_view(whole[5:-5, 5:-5], (20, 20), axis=(0, 1))
        for index in range(3):
            blurred = dataset[PatchRequest(index, 0, 20)]["pixel_values"].numpy()
            assert np.abs(places - blurred).max(axis=(2, 3, 4)).min() < 1e-5

    def test_gray_training_has_one_channel(self, clean_folder):
        gray = PatchDataset(
            CleanFolder(clean_folder), patch_size=32, degradation=GaussianNoise(), grayscale=True
        )
        assert gray[0]["pixel_values"].shape == (1, 32, 32)

    def test_patches_per_picture_lengthen_an_epoch(self, clean_folder):
        dataset = PatchDataset(
            CleanFolder(clean_folder), patch_size=32, degradation=Rain(), patches_per_picture=3
        )
        assert len(dataset) == 15
        assert not torch.equal(dataset[0]["labels"], dataset[5]["labels"])
        with pytest.raises(IndexError):
            dataset[15]

    def test_misuse_is_told(self, clean_folder, pair_folders, tmp_path):
        clean, pairs = CleanFolder(clean_folder), FolderPairs(*pair_folders)
        with pytest.raises(ValueError, match="give a degradation"):
            PatchDataset(clean)
        with pytest.raises(ValueError, match="give no degradation"):
            PatchDataset(pairs, degradation=Rain())
        with pytest.raises(ValueError, match="no pictures"):
            PatchDataset(CleanFolder(save_scenes(tmp_path / "none", 0)), degradation=Rain())
        with pytest.raises(ValueError, match=r"scene-0.*112×96 is smaller than the 128×128 patch"):
            PatchDataset(clean, degradation=Rain())[0]
        unequal = Pictures(Pair(draw_scene(), draw_scene(50, 50)))
        with pytest.raises(ValueError, match="picture 0: the input and the target differ in size"):
            PatchDataset(unequal, patch_size=32)[0]


class TestCutting:
    def test_surroundings_are_real_where_there_are_any(self):
        scene = draw_scene()
        cut = cut_with_margin(scene, (20, 30), 16, margin=4)
        np.testing.assert_array_equal(cut, scene[16:40, 26:50])

    def test_and_mirrored_where_the_picture_ends(self):
        scene = draw_scene()
        cut = cut_with_margin(scene, (0, 112 - 16), 16, margin=4)
        mirrored = np.pad(scene, [(4, 4), (4, 4), (0, 0)], mode="symmetric")
        np.testing.assert_array_equal(cut, mirrored[:24, -24:])


class TestCache:
    def test_decodes_once_within_its_budget(self):
        source = Pictures(*(Pair(draw_scene(seed=seed)) for seed in range(3)))
        cache = PairCache(source, megabytes=1)
        for _ in range(4):
            for index in range(3):
                np.testing.assert_array_equal(cache[index].target, draw_scene(seed=index))
        assert source.loads == 3

    def test_never_holds_more_than_its_budget(self):
        source = Pictures(*(Pair(draw_scene(seed=seed)) for seed in range(5)))
        cache = PairCache(source, megabytes=0.07)  # room for two pictures of 32 kB
        for index in (0, 1, 2, 1, 3, 1, 4):
            cache[index]
            assert cache.held <= cache.budget
        assert source.loads == 5  # picture 1 was always the more recent one

    def test_without_budget_nothing_is_kept(self):
        source = Pictures(Pair(draw_scene()))
        cache = PairCache(source, megabytes=0)
        for _ in range(2):
            np.testing.assert_array_equal(cache[0].target, draw_scene())
        assert source.loads == 2
        assert cache.held == 0


class TestProgressiveBatches:
    stages = ((3, 32, 4), (2, 48, 2))

    def test_walks_the_schedule(self):
        batches = list(ProgressiveBatches(10, self.stages))
        assert [(len(batch), batch[0].patch_size) for batch in batches] == [
            (4, 32), (4, 32), (4, 32), (2, 48), (2, 48),
        ]  # fmt: skip

    def test_every_epoch_visits_every_patch_once(self):
        requests = [request for batch in ProgressiveBatches(8, self.stages) for request in batch]
        assert sorted(r.number for r in requests if r.epoch == 0) == list(range(8))
        assert sorted(r.number for r in requests if r.epoch == 1) == list(range(8))

    def test_resuming_continues_exactly(self):
        whole = list(ProgressiveBatches(7, self.stages, seed=2))
        for start in range(6):
            resumed = ProgressiveBatches(7, self.stages, seed=2, start_iteration=start)
            assert list(resumed) == whole[start:]
            assert len(resumed) == len(whole) - start

    def test_processes_share_out_what_one_would_do(self):
        alone = list(ProgressiveBatches(9, [(3, 32, 4)]))
        first, second = (
            list(ProgressiveBatches(9, [(3, 32, 2)], rank=rank, world_size=2)) for rank in (0, 1)
        )
        assert [a + b for a, b in zip(first, second, strict=True)] == alone

    def test_feeds_a_loader(self, rainy):
        loader = DataLoader(rainy, batch_sampler=ProgressiveBatches(len(rainy), self.stages))
        shapes = [tuple(batch["labels"].shape) for batch in loader]
        assert shapes == [(4, 3, 32, 32)] * 3 + [(2, 3, 48, 48)] * 2

    def test_refuses_nonsense(self):
        with pytest.raises(ValueError, match="positive"):
            ProgressiveBatches(5, [(3, 0, 1)])
        with pytest.raises(ValueError, match="rank 2 does not exist among 2"):
            ProgressiveBatches(5, self.stages, rank=2, world_size=2)


class TestStreaming:
    @pytest.fixture
    def stream(self, clean_folder):
        datasets = pytest.importorskip("datasets")
        files = sorted(str(path) for path in clean_folder.iterdir())
        table = datasets.Dataset.from_dict(
            {"target": files}, features=datasets.Features({"target": datasets.Image()})
        )
        return table.to_iterable_dataset(num_shards=3)

    def test_gives_every_row_once_whatever_the_workers(self, stream):
        patches = StreamingPatches(stream, patch_size=32, degradation=Rain(), seed=1)
        alone, shared = (
            {
                sample["pixel_values"].numpy().tobytes()
                for sample in DataLoader(patches, batch_size=None, num_workers=workers)
            }
            for workers in (0, 2)
        )
        assert len(alone) == 5
        assert alone == shared

    def test_epochs_differ(self, stream):
        patches = StreamingPatches(stream, patch_size=32, degradation=Rain(), seed=1)
        first = next(iter(patches))["labels"]
        patches.set_epoch(1)
        assert not torch.equal(next(iter(patches))["labels"], first)

    def test_needs_its_columns(self, stream):
        with pytest.raises(ValueError, match="no column input; it has target"):
            StreamingPatches(stream, patch_size=32)
