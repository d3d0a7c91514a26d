"""How the page looks: one accent, the system's own fonts, places that keep their size."""

from __future__ import annotations

import gradio as gr

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
MONOSPACE_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace")

ACCENT = gr.themes.Color(
    name="lake",
    c50="#eef7fb",
    c100="#d6ebf4",
    c200="#aed7e8",
    c300="#7cbdd8",
    c400="#439dc2",
    c500="#1b82ad",
    c600="#0b6e99",
    c700="#0a597c",
    c800="#0d4a66",
    c900="#103e55",
    c950="#0a2839",
)


def theme() -> gr.themes.Base:
    """Light and dark, as the browser asks. Fonts are named, never fetched."""
    return gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue="slate",
        radius_size="md",
        font=SYSTEM_FONTS,
        font_mono=MONOSPACE_FONTS,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_border_width="1px",
        block_shadow="none",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_weight="500",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )


CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto; }
#title h1 { font-size: 1.5rem; font-weight: 650; margin: .4rem 0 .1rem; letter-spacing: -.01em; }
#title p { color: var(--body-text-color-subdued); max-width: 46rem; }
.plot { min-height: 356px; }
.figure img { background: white; border-radius: 8px; padding: 8px; }
@media (max-width: 640px) {
  .result, .result > div, .result .slider-wrap { height: 340px !important; }
  .figure { overflow-x: auto; }
}
.note p { color: var(--body-text-color-subdued); font-size: .92rem; }
:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 2px; }
"""

FACTS_TEMPLATE = "<dl>{{#each value}}<div><dt>{{@key}}</dt><dd>{{this}}</dd></div>{{/each}}</dl>"
FACTS_CSS = """
dl { display: flex; flex-wrap: wrap; gap: .5rem 1.75rem; margin: 0; min-height: 3.1rem; }
dl div { display: flex; flex-direction: column; }
dt { color: var(--body-text-color-subdued); font-size: .8rem; }
dd { margin: 0; font-weight: 550; color: var(--body-text-color); }
dd { font-variant-numeric: tabular-nums; }
"""

ROWS_TEMPLATE = (
    "<table><thead><tr>{header}</tr></thead><tbody>"
    "{{{{#each value}}}}<tr>{{{{#each this}}}}<td>{{{{this}}}}</td>{{{{/each}}}}</tr>{{{{/each}}}}"
    "</tbody></table>"
)
ROWS_CSS = """
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th { text-align: left; font-weight: 500; color: var(--body-text-color-subdued); font-size: .8rem; }
th, td { padding: .45rem .5rem .45rem 0; border-bottom: 1px solid var(--border-color-primary); }
td { font-variant-numeric: tabular-nums; color: var(--body-text-color); overflow-wrap: anywhere; }
"""
