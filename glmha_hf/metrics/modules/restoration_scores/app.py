"""The Space of this metric: two pictures and a protocol in, scores out."""

import gradio as gr

from glmha_hf.metrics import PROTOCOLS, compare

PICTURE_PROTOCOLS = [name for name, entry in PROTOCOLS.items() if entry.kind == "picture"]


def score(restored, target, protocol):
    if restored is None or target is None:
        raise gr.Error("Give both the restored picture and its target.")
    try:
        return compare(restored, target, protocol)
    except ValueError as refusal:
        raise gr.Error(str(refusal)) from refusal


demo = gr.Interface(
    score,
    inputs=[
        gr.Image(label="Restored", type="numpy", format="png"),
        gr.Image(label="Target", type="numpy", format="png"),
        gr.Dropdown(PICTURE_PROTOCOLS, value="deraining", label="Protocol"),
    ],
    outputs=gr.JSON(label="Scores"),
    title="Restoration scores",
    description="Score a restored picture as the papers of its task do.",
    flagging_mode="never",
)

if __name__ == "__main__":
    demo.launch()
