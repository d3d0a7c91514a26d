import json
import math
import statistics

import numpy as np
import pytest

from glmha_hf.metrics import PictureScores, Scores, compare


def made_up(count, rng):
    return [
        PictureScores({"psnr": float(psnr), "ssim": float(psnr) / 50}, index, f"{index}.png")
        for index, psnr in enumerate(rng.uniform(20, 40, count))
    ]


def test_adding_scores_one_picture(picture_pair):
    scores = Scores("deraining")
    first = scores.add(*picture_pair, name="rain.png")
    assert first == compare(*picture_pair, protocol="deraining")
    assert scores.mean() == first
    assert scores.pictures == [PictureScores(first, None, "rain.png")]


def test_pictures_of_any_size_mix(rng):
    scores = Scores("denoising")
    sizes = [(12, 15, 3), (30, 11, 3), (8, 9)]
    for size in sizes:
        pair = rng.integers(0, 256, (2, *size), dtype=np.uint8)
        scores.add(*pair)
    assert len(scores) == len(sizes)
    each = [picture.scores["psnr"] for picture in scores.pictures]
    assert scores.mean()["psnr"] == pytest.approx(statistics.mean(each))


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_the_mean_does_not_depend_on_the_split(rng, processes):
    pictures = made_up(101, rng)
    whole = Scores("deraining", pictures)
    parts = [Scores("deraining", pictures[rank::processes]) for rank in range(processes)]
    merged = Scores.merge(reversed(parts))
    assert merged.pictures == pictures
    assert merged.mean() == whole.mean()


def test_without_indices_the_mean_is_still_exact(rng):
    pictures = [PictureScores(picture.scores) for picture in made_up(50, rng)]
    parts = [Scores("deraining", pictures[rank::4]) for rank in range(4)]
    assert Scores.merge(parts).mean() == Scores("deraining", pictures).mean()


def test_a_picture_repeated_by_the_sampler_counts_once(rng):
    pictures = made_up(5, rng)
    parts = [Scores("deraining", pictures[:3]), Scores("deraining", [*pictures[3:], pictures[0]])]
    assert Scores.merge(parts).pictures == pictures


def test_two_pictures_of_one_index_are_refused():
    first = PictureScores({"psnr": 30.0, "ssim": 0.9}, index=0)
    second = PictureScores({"psnr": 25.0, "ssim": 0.9}, index=0)
    with pytest.raises(ValueError, match="index 0 belongs to two different pictures"):
        Scores.merge([Scores("deraining", [first]), Scores("deraining", [second])])


def test_the_state_survives_json(rng):
    scores = Scores("deraining", made_up(3, rng))
    restored = Scores.from_state(json.loads(json.dumps(scores.state())))
    assert restored.pictures == scores.pictures
    assert restored.protocol is scores.protocol


def test_worst_follows_the_direction_of_each_score():
    values = {"a": (0.1, 0.02, 30.0), "b": (0.3, 0.01, 35.0), "c": (0.2, 0.03, 25.0)}
    pictures = [
        PictureScores(dict(zip(("mrae", "rmse", "psnr"), row, strict=True)), name=name)
        for name, row in values.items()
    ]
    scores = Scores("ntire2022", pictures)
    assert [picture.name for picture in scores.worst(2)] == ["b", "c"]
    assert [picture.name for picture in scores.worst(2, key="rmse")] == ["c", "a"]
    assert [picture.name for picture in scores.worst(2, key="psnr")] == ["c", "a"]


def test_an_identical_pair_makes_the_mean_infinite(picture_pair):
    scores = Scores("denoising")
    scores.add(*picture_pair)
    scores.add(picture_pair[0], picture_pair[0])
    assert scores.mean() == {"psnr": math.inf}


def test_nothing_to_average():
    with pytest.raises(ValueError, match="no picture has been scored"):
        Scores("cassi").mean()


def test_an_unknown_key_is_refused(rng):
    with pytest.raises(ValueError, match="deraining has no score 'sam': choose among psnr, ssim"):
        Scores("deraining", made_up(2, rng)).worst(1, key="sam")


def test_other_protocols_do_not_merge():
    with pytest.raises(ValueError, match=r"one protocol, given: \['cassi', 'deraining'\]"):
        Scores.merge([Scores("cassi"), Scores("deraining")])
