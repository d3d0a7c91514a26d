import json

import numpy as np
import pytest
import torch
from PIL import Image

from glmha_hf import (
    MstConfig,
    MstForSpectralReconstruction,
    MstPlusPlusConfig,
    MstPlusPlusForSpectralReconstruction,
)
from glmha_hf.evaluation.opening import open_sets
from glmha_hf.evaluation.report import (
    as_csv,
    as_json,
    as_table,
    eval_results,
    model_index,
    write_reports,
)
from glmha_hf.evaluation.restorers import ModelRestorer, load_restorer
from glmha_hf.evaluation.run import Processes, chosen_pictures, evaluate
from glmha_hf.evaluation.worst import write_worst_sheets
from glmha_hf.metrics import compare
from tests.models.small import small_model

from .conftest import save_arad, save_cassi, save_model, save_network, save_pairs


def run(models, place, output, **options):
    restorers = [load_restorer(str(model)) for model in models]
    sets = open_sets(str(place))
    return evaluate(restorers, sets, output=output, quiet=True, **options)


def journal_lines(folder):
    return [
        json.loads(line)
        for path in sorted(folder.glob("journal-*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_the_input_scores_as_compare_does(rain, tmp_path):
    (result,) = run(["input"], rain, tmp_path / "out")
    pictures = [np.asarray(Image.open(rain / folder / "3.png")) for folder in ("input", "target")]
    assert result.scores.pictures[3].scores == compare(*pictures, "deraining")
    assert [each.index for each in result.scores.worst(2)] == [4, 3]


def test_a_model_is_run_as_its_processor_and_the_protocol_say(rain, restormer, tmp_path):
    (result,) = run([restormer], rain, tmp_path / "out", save_pictures=True)
    saved = tmp_path / "out" / "pictures" / "small-restormer" / "Rain100L" / "2.png"
    restorer = load_restorer(restormer)
    (test_set,) = open_sets(str(rain))
    expected = restorer.processor.post_process(
        restorer.model(**restorer.inputs(test_set.sample(2)))
    )[0]
    np.testing.assert_array_equal(np.asarray(Image.open(saved)), np.asarray(expected))
    assert result.facts["architecture"] == "restormer"
    assert result.facts["parameters"] == small_model("restormer").num_parameters()


def test_outputs_that_are_no_numbers_are_refused(rain, tmp_path):
    network = small_model("restormer")
    torch.nn.init.constant_(network.output.weight, torch.nan)
    network.save_pretrained(tmp_path / "broken")
    with pytest.raises(ValueError, match="broken makes values that are NaN or infinite of "):
        run([tmp_path / "broken"], rain, tmp_path / "out")


def test_done_pictures_are_not_done_again(rain, restormer, tmp_path, monkeypatch):
    first = run([restormer, "input"], rain, tmp_path)
    asked = []
    monkeypatch.setattr(ModelRestorer, "restore", lambda self, sample: asked.append(sample.name))
    again = run([restormer, "input"], rain, tmp_path)
    assert asked == []
    assert as_json(again) == as_json(first)
    assert len(journal_lines(tmp_path)) == 10


def test_a_killed_run_goes_on_after_its_last_whole_line(rain, restormer, tmp_path):
    whole = run([restormer], rain, tmp_path / "whole")
    journal = tmp_path / "whole" / "journal-0.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:2]) + lines[2][:40])
    assert as_json(run([restormer], rain, tmp_path / "whole")) == as_json(whole)
    kept = journal.read_text().splitlines()
    assert len(kept) == 6  # two, the broken one, and three done anew
    assert kept[2] == lines[2][:40]


def test_a_changed_picture_or_model_is_scored_anew(rain, restormer, tmp_path):
    run([restormer], rain, tmp_path / "out")
    Image.new("RGB", (28, 24)).save(rain / "input" / "1.png")
    run([restormer], rain, tmp_path / "out")
    assert len(journal_lines(tmp_path / "out")) == 6
    save_model(tmp_path / "small-restormer", "restormer", seed=1)
    run([restormer], rain, tmp_path / "out")
    assert len(journal_lines(tmp_path / "out")) == 11


def test_fresh_forgets_the_journal(rain, tmp_path):
    run(["input"], rain, tmp_path)
    run(["input"], rain, tmp_path, fresh=True)
    assert len(journal_lines(tmp_path)) == 5


def test_processes_share_the_pictures_and_agree(rain, restormer, tmp_path):
    """The second of two processes, given the first one's entries by a recorded gather."""
    alone = run([restormer], rain, tmp_path / "alone")
    exchanged = []

    def first_gather(items):
        exchanged.append(items)
        return items

    with pytest.raises(KeyError):  # nobody hands the first process the others' pictures
        run([restormer], rain, tmp_path / "two", processes=Processes(0, 2, first_gather))
    exchanges = iter(exchanged)
    second = run(
        [restormer],
        rain,
        tmp_path / "other",
        processes=Processes(1, 2, lambda items: next(exchanges) + items),
    )
    assert as_json(second) == as_json(alone)
    assert len(journal_lines(tmp_path / "two")) == 3
    assert len(journal_lines(tmp_path / "other")) == 2


def test_one_process_s_problem_is_everyone_s(rain, tmp_path):
    (rain / "input" / "2.png").write_bytes((rain / "input" / "2.png").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"Rain100L, 2\.png: .*cannot be read"):
        run(["input"], rain, tmp_path)
    assert len(journal_lines(tmp_path)) == 2


def test_a_part_of_a_set_is_spread_over_it_and_says_so(rain, tmp_path):
    assert chosen_pictures(10, 4) == [0, 2, 5, 7]
    assert chosen_pictures(3, 9) == [0, 1, 2]
    (result,) = run(["input"], rain, tmp_path, limit=2)
    assert result.settings == {"limit": 2}
    assert "Rain100L (a part)" in as_table([result])


def test_a_gray_denoiser(tmp_path):
    save_pairs(tmp_path / "CBSD68", 1)
    for path in (tmp_path / "CBSD68" / "target").iterdir():
        path.rename(tmp_path / "CBSD68" / path.name)
    for folder in ("input", "target"):
        for path in (tmp_path / "CBSD68" / folder).iterdir():
            path.unlink()
        (tmp_path / "CBSD68" / folder).rmdir()
    model = save_model(
        tmp_path / "gray", "restormer", in_channels=1, out_channels=1, processor=False
    )
    results = run([model], tmp_path / "CBSD68", tmp_path / "out")
    assert [each.set for each in results] == ["CBSD68 σ=15", "CBSD68 σ=25", "CBSD68 σ=50"]
    assert all(np.isfinite(each.scores.mean()["psnr"]) for each in results)


def test_rgb_to_cube(tmp_path):
    network = MstPlusPlusForSpectralReconstruction(MstPlusPlusConfig(num_stages=1))
    model = save_network(tmp_path / "spectral", network)
    results = run([model], save_arad(tmp_path / "arad"), tmp_path / "out", save_pictures=True)
    assert set(results[0].scores.mean()) == {"mrae", "rmse", "psnr"}
    cube = np.load(tmp_path / "out/pictures/spectral/ARAD-1K valid/ARAD_1K_0901.npy")
    assert cube.shape == (31, 24, 20)


def test_snapshot_to_cube_and_its_worst_sheet(tmp_path):
    network = MstForSpectralReconstruction(MstConfig(num_blocks=(1, 1)))
    model = save_network(tmp_path / "cassi", network)
    place = save_cassi(tmp_path / "scenes")
    restorers = [load_restorer(model), load_restorer("input")]
    sets = open_sets(str(place))
    results = evaluate(restorers, sets, output=tmp_path / "out", quiet=True)
    assert results[1].scores.mean()["psnr"] < 30
    sheets = write_worst_sheets(results, restorers, sets, tmp_path / "worst", count=1)
    assert [path.name for path in sheets] == [
        "cassi on scenes (cassi).png",
        "input on scenes (cassi).png",
    ]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("mst", "maps 6 channels and a mask to 6, but Rain100L"),
        ("mst_plus_plus", "maps 3 channels to 7, but Rain100L"),
    ],
)
def test_a_model_of_another_kind_is_refused_before_anything_runs(form, message, rain, tmp_path):
    model = save_model(tmp_path / "other", form)
    with pytest.raises(ValueError, match=message):
        run(["input", model], rain, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_rgb_input_cannot_be_scored_as_a_cube(tmp_path):
    with pytest.raises(ValueError, match="leave input out"):
        run(["input"], save_arad(tmp_path / "arad"), tmp_path / "out")


def test_two_models_of_one_name_are_refused(rain, tmp_path):
    with pytest.raises(ValueError, match="two models are called input"):
        run(["input", "input"], rain, tmp_path)


def test_a_folder_without_a_configuration_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model folder"):
        load_restorer(str(tmp_path))


def test_the_fingerprint_follows_weights_settings_and_precision(restormer, tmp_path):
    import torch

    first = load_restorer(restormer).fingerprint
    same = load_restorer(save_model(tmp_path / "elsewhere", "restormer")).fingerprint
    other = load_restorer(save_model(tmp_path / "other", "restormer", seed=1)).fingerprint
    half = load_restorer(restormer, dtype=torch.bfloat16).fingerprint
    assert first == same
    assert len({first, other, half}) == 3


def test_reports(rain, restormer, tmp_path):
    results = run([restormer, "input"], rain, tmp_path)
    table = as_table(results)
    assert table.startswith("deraining\n\n| model ")
    assert f"{results[1].scores.mean()['psnr']:.2f}" in table
    rows = as_csv(results).splitlines()
    assert rows[0] == "model,set,protocol,index,name,psnr,ssim"
    assert len(rows) == 11
    assert repr(results[1].scores.pictures[4].scores["psnr"]) in rows[-1]
    found = eval_results(results[:1])
    assert [each.metric_type for each in found] == ["psnr", "ssim"]
    assert found[0].dataset_name == "Rain100L"
    assert "name: small-restormer" in model_index(results[:1])
    paths = write_reports(results, tmp_path, json_text="{}")
    assert [path.name for path in paths] == [
        "results.json",
        "pictures.csv",
        "table.md",
        "model-index-small-restormer.yaml",
    ]


def test_the_card_can_take_the_entry(rain, restormer, tmp_path):
    import yaml
    from huggingface_hub import ModelCard

    entry = model_index(run([restormer], rain, tmp_path))
    card = ModelCard(f"---\n{entry}---\n# small-restormer\n")
    assert [each.metric_type for each in card.data.eval_results] == ["psnr", "ssim"]
    assert yaml.safe_load(entry)["model-index"][0]["name"] == "small-restormer"


def test_a_model_on_several_sets_gets_their_mean(tmp_path):
    for name, count in (("Rain100L", 2), ("Test100", 3)):
        save_pairs(tmp_path / "test" / name, count)
    results = run(["input"], tmp_path, tmp_path / "out")
    table = as_table(results)
    means = [each.scores.mean()["psnr"] for each in results]
    (line,) = [line for line in table.splitlines() if "mean of 2 sets" in line]
    assert f"{sum(means) / 2:.2f}" in line


def test_an_identical_pair_is_infinite_in_every_report(rain, tmp_path):
    for path in (rain / "target").iterdir():
        (rain / "input" / path.name).write_bytes(path.read_bytes())
    results = run(["input"], rain, tmp_path)
    assert "∞" in as_table(results)
    made = json.loads(json.dumps(as_json(results), allow_nan=False))
    assert made["results"][0]["means"]["psnr"] == "inf"
