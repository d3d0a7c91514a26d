import json

import pytest

gr = pytest.importorskip("gradio", minversion="6.0")

from glmha_hf.demo import app as page  # noqa: E402
from glmha_hf.demo import restore_tab, spectral_tab  # noqa: E402
from glmha_hf.demo.parts import AT_ONCE, plainly  # noqa: E402
from glmha_hf.demo.stopping import StoppedError  # noqa: E402
from glmha_hf.hub import zoo  # noqa: E402

CALLS = {"models", "restore", "degrade", "reconstruct", "view", "spectra", "compare"}


@pytest.mark.usefixtures("shipped_models")
class TestApp:
    def test_every_function_can_be_called_and_says_what_it_does(self):
        described = page.build_app().get_api_info()["named_endpoints"]
        assert set(described) == {f"/{name}" for name in CALLS}
        assert all(endpoint["description"] for endpoint in described.values())

    def test_heavy_work_waits_in_one_queue(self):
        functions = page.build_app().fns.values()
        heavy = [fn for fn in functions if fn.concurrency_id == "compute"]
        assert {fn.api_name for fn in heavy} == {"restore", "reconstruct", "compare"}
        assert {fn.concurrency_limit for fn in heavy} == {AT_ONCE}

    def test_what_ships_is_offered(self):
        assert {model["name"] for model in page.list_shipped()} == {
            "glmha-restormer-derain",
            "restormer-derain",
            "glmha-restormer-denoise",
            "glmha-mst-plus-plus-rgb2hsi",
        }
        labels = [label for label, _ in spectral_tab.choices_of(spectral_tab.CASSI)]
        assert labels == ["GAP-TV, which needs no training"]

    def test_a_task_brings_its_models_and_sliders(self):
        dropdown, *sliders = restore_tab.choose_task("denoise")
        assert dropdown["value"] == "glmha-restormer-denoise"
        assert sliders == [0, 0, 25]

    def test_choices_are_answered_in_the_browser(self):
        start, end = "(choice) => (", ")[choice]"
        scripts = [str(fn.js) for fn in page.build_app().fns.values() if fn.fn is None]
        answers = {}
        for script in scripts:
            if script.startswith(start):
                answers |= json.loads(script.removeprefix(start).removesuffix(end))
        assert set(answers) == {"derain", "denoise", spectral_tab.RGB, spectral_tab.CASSI}
        dropdown, picture, snapshot = answers[spectral_tab.CASSI]
        assert dropdown["choices"] == [["GAP-TV, which needs no training", spectral_tab.GAP_TV]]
        assert (picture["visible"], snapshot["visible"]) == (False, True)


def test_the_page_stands_without_any_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    config = page.build_app().get_config_file()
    shown = [str(component["props"].get("value", "")) for component in config["components"]]
    assert any("No model has its weights here yet" in text for text in shown)
    buttons = {
        component["props"]["value"]: component["props"]["interactive"]
        for component in config["components"]
        if component["type"] == "button"
    }
    assert (buttons["Restore"], buttons["Compare"], buttons["Reconstruct"]) == (False, False, True)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\n  line"), "one line"),
        (FileNotFoundError("gone"), "gone"),
        (MemoryError(), "there is not enough memory"),
        (StoppedError(), "Stopped."),
    ],
)
def test_bad_input_becomes_one_line(error, line):
    @plainly
    def fails():
        raise error

    with pytest.raises(gr.Error, match=line):
        fails()


def test_our_own_errors_stay_ours():
    @plainly
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
