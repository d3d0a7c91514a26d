"""The page as a person uses it, in Chromium: each tab, both widths, both schemes, the keyboard."""

import re
from pathlib import Path

import pytest

from .conftest import save_picture
from .serving import served

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("gradio", minversion="6.0")
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"),
]

WIDE, NARROW = (1440, 1000), (390, 844)
PATIENCE = 90_000
FOUR_PIXELS = re.compile(r"(\d+, \d+; ){3}\d+, \d+")


@pytest.fixture(scope="module")
def server(small_weights, tmp_path_factory):
    with served(small_weights, tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page, and at the end sees that nothing failed and nobody else was asked."""
    complaints, hosts, contexts = [], set(), []

    def open_page(size=WIDE, scheme="light"):
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(server.address, wait_until="domcontentloaded")
        page.get_by_role("tab", name="Restore").wait_for()
        page.locator(".examples button").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert {host for host in hosts if host} == {server.address.split("/")[2]}


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def wait_for_fact(page, name):
    """Its value, once it is known."""
    value = page.locator(f"dl:visible div:has(dt:text-is('{name}')) dd")
    sync_api.expect(value).not_to_have_text("–", timeout=PATIENCE)
    return value.inner_text()


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


class TestRestore:
    def test_an_example_is_degraded_restored_and_scored(self, visit):
        page = visit()
        page.locator(".examples button").first.click()
        page.get_by_role("button", name="Remove Image").first.wait_for()
        press(page, "Restore")
        assert wait_for_fact(page, "Picture") == "768 × 432"
        assert " dB → " in wait_for_fact(page, "PSNR")
        with page.expect_download() as download:
            press(page, "Download PNG")
        assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")

    def test_an_upload_is_restored_without_the_former_truth(self, visit, tmp_path):
        page = visit()
        page.locator(".examples button").first.click()
        page.get_by_role("button", name="Remove Image").first.click()
        chooser = page.locator("input[type=file]").first
        chooser.set_input_files(save_picture(tmp_path / "mine.jpg", 96, 128))
        page.get_by_role("button", name="Remove Image").first.wait_for()
        press(page, "Restore")
        assert wait_for_fact(page, "Picture") == "128 × 96"
        assert page.locator("dl:visible div:has(dt:text-is('PSNR')) dd").inner_text() == "–"
        with page.expect_download() as download:
            press(page, "Download JPG")
        assert Path(download.value.path()).read_bytes().startswith(b"\xff\xd8")

    def test_nothing_jumps_while_it_works(self, visit):
        page = visit()
        page.locator(".examples button").first.click()
        page.get_by_role("button", name="Remove Image").first.wait_for()
        parts = (
            page.get_by_role("button", name="Restore", exact=True),
            page.get_by_role("button", name="Download PNG"),
            page.locator(".result:visible"),
            page.locator("dl:visible"),
        )
        before = [part.bounding_box() for part in parts]
        press(page, "Restore")
        page.wait_for_timeout(300)
        during = [part.bounding_box() for part in parts]
        wait_for_fact(page, "Time")
        after = [part.bounding_box() for part in parts]
        assert before == during == after

    def test_progress_is_shown_and_stop_frees_the_page(self, visit, tmp_path):
        page = visit()
        chooser = page.locator("input[type=file]").first
        chooser.set_input_files(save_picture(tmp_path / "large.jpg", 3000, 3600))
        page.get_by_role("button", name="Remove Image").first.wait_for()
        press(page, "Restore")
        progress = page.get_by_text("Restoring", exact=False).first
        progress.wait_for()
        press(page, "Stop")
        progress.wait_for(state="hidden")
        page.get_by_text("Stopped.").first.wait_for()
        page.wait_for_timeout(2000)
        assert page.get_by_text("Error").count() == 0
        page.get_by_role("button", name="Remove Image").first.click()
        chooser.set_input_files(save_picture(tmp_path / "small.png"))
        page.get_by_role("button", name="Remove Image").first.wait_for()
        press(page, "Restore")
        assert wait_for_fact(page, "Picture") == "56 × 40"

    def test_the_task_brings_its_models(self, visit):
        page = visit()
        page.get_by_label("Noise", exact=True).check()
        page.locator(".examples button").first.click()
        page.get_by_role("button", name="Remove Image").first.wait_for()
        press(page, "Restore")
        assert wait_for_fact(page, "PSNR").startswith("20.")

    def test_what_is_no_picture_is_told_in_words(self, visit, tmp_path):
        page = visit()
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
        page.locator("input[type=file]").first.set_input_files(broken)
        page.wait_for_timeout(1500)
        press(page, "Restore")
        toast = page.get_by_test_id("toast-body").first
        sync_api.expect(toast).to_contain_text("the picture", timeout=PATIENCE)

    def test_the_keyboard_reaches_what_the_mouse_does(self, visit):
        page = visit()
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate(
                    "(e => e.innerText || e.getAttribute('aria-label') || e.type || e.tagName)"
                    "(document.activeElement)"
                ).strip()
            )
        assert {"Restore", "Stop"} <= reached
        assert any("Degrade a clean picture" in name for name in reached)
        page.get_by_role("button", name="Restore", exact=True).focus()
        page.keyboard.press("Enter")
        toast = page.get_by_test_id("toast-body").first
        sync_api.expect(toast).to_contain_text("there is no picture yet", timeout=PATIENCE)


class TestSpectral:
    def test_a_cube_is_made_looked_at_and_saved(self, visit):
        page = visit()
        page.get_by_role("tab", name="Spectral").click()
        page.locator(".examples:visible button").first.click()
        page.get_by_role("button", name="Remove Image").locator("visible=true").wait_for()
        press(page, "Reconstruct")
        assert wait_for_fact(page, "Cube") == "112 × 112 × 31 bands, 400 to 700 nm"
        view = page.locator(".result:visible img")
        view.wait_for()
        colours = view.get_attribute("src")
        view.click(position={"x": 40, "y": 60})
        pixels = page.get_by_label("Pixels: row, column; row, column")
        sync_api.expect(pixels).to_have_value(FOUR_PIXELS, timeout=PATIENCE)
        page.get_by_label("One band").check()
        sync_api.expect(view).not_to_have_attribute("src", colours, timeout=PATIENCE)
        page.locator(".plot:visible .marks").wait_for()
        with page.expect_download() as download:
            press(page, "Download .npy")
        assert Path(download.value.path()).read_bytes().startswith(b"\x93NUMPY")

    def test_a_click_right_after_the_choice_of_snapshots_is_answered(self, visit):
        page = visit()
        page.get_by_role("tab", name="Spectral").click()
        page.get_by_label("CASSI snapshot").check()
        press(page, "Reconstruct")
        assert wait_for_fact(page, "Cube").endswith("28 bands, 453.5 to 648 nm")


class TestCompare:
    def test_two_models_stand_side_by_side(self, visit):
        page = visit()
        page.get_by_role("tab", name="Compare").click()
        page.locator(".examples:visible button").first.click()
        page.get_by_role("button", name="Remove Image").locator("visible=true").wait_for()
        press(page, "Compare")
        first = page.locator("table:visible tbody tr").first.locator("td")
        sync_api.expect(first.first).to_have_text("glmha-restormer-derain", timeout=PATIENCE)
        assert first.nth(1).inner_text().endswith(" dB")
        page.locator(".figure img").wait_for()
        page.locator(".plot:visible .marks").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_every_tab_fits_and_follows_the_scheme(size, scheme, visit):
    page = visit(size, scheme)
    for tab in ("Restore", "Spectral", "Compare"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(400)
        assert overflow(page) <= 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, background.strip("rgb()").split(",")[:3])) / 3
    assert brightness > 200 if scheme == "light" else brightness < 60
