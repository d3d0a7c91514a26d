"""Take the README's pictures of the page, with the models that ship.

    python spaces/screenshots.py [NAME …]

Needs the extras `demo`, `spectral` and `dev`, and Chromium at /usr/bin/chromium.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from glmha_hf.demo.app import launch

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
QUALITIES, MOST_BYTES = (82, 72, 62, 52, 42), 200_000
PATIENCE = 600_000  # milliseconds
SNAPSHOT_MODEL = re.compile("^MST, ")
SEEDING, AITZGORRI = 2, 3  # places among the examples: CC0 and CC BY 4.0


def restore(page: Page) -> None:
    take_example(page, SEEDING)
    run(page, "Restore", "Picture")


def spectral(page: Page) -> None:
    page.get_by_role("tab", name="Spectral").click()
    snapshot = page.get_by_label("CASSI snapshot")
    if snapshot.is_visible():
        snapshot.check()
        expect(page.locator("input[aria-label='Model']:visible")).to_have_value(SNAPSHOT_MODEL)
    run(page, "Reconstruct", "Cube")
    page.locator(".plot:visible .marks").wait_for()


def compare(page: Page) -> None:
    page.get_by_role("tab", name="Compare").click()
    take_example(page, AITZGORRI)
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".figure img").wait_for()


def take_example(page: Page, number: int) -> None:
    page.locator(".examples:visible button").nth(number).click()
    page.get_by_role("button", name="Remove Image").locator("visible=true").first.wait_for()


def run(page: Page, button: str, fact: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()
    value = page.locator(f"dl:visible div:has(dt:text-is('{fact}')) dd")
    expect(value).not_to_have_text("–", timeout=PATIENCE)


# File name: what is done on the page, its width, its scheme.
SHOTS: dict[str, tuple[Callable[[Page], None], int, str]] = {
    "demo-restore": (restore, 1200, "light"),
    "demo-spectral": (spectral, 1200, "dark"),
    "demo-compare": (compare, 1200, "light"),
    "demo-phone": (restore, 390, "dark"),
}


def shoot(browser: Browser, address: str, name: str) -> Path:
    act, width, scheme = SHOTS[name]
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address, wait_until="domcontentloaded")
    page.locator(".examples button").first.wait_for()
    act(page)
    page.wait_for_timeout(1500)  # pictures are drawn a moment after they have come
    path = PICTURES / f"{name}.jpg"
    for quality in QUALITIES:
        page.screenshot(path=path, full_page=True, type="jpeg", quality=quality)
        if path.stat().st_size <= MOST_BYTES:
            break
    context.close()
    return path


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    _, address, _ = launch(host="127.0.0.1", prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for name in sys.argv[1:] or SHOTS:
            path = shoot(browser, address, name)
            print(f"{path.name}: {path.stat().st_size:,} bytes", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
