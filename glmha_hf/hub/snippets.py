"""How a model is used, as its card shows it: every snippet runs as it is printed.

The file names in them are those that a reader replaces first.
"""

MADE_BY = "<!-- made by glmha card from the files beside it -->"
PICTURE = "before-after"
CREDIT = "Credit"

CALLS = {
    "picture": """restored = glmha_hf.restore("picture.png", model="{name}")
restored.save("restored.png")""",
    "rgb": """cube = glmha_hf.reconstruct("picture.png", model="{name}")  # bands×H×W""",
    "snapshot": """cube = glmha_hf.reconstruct("snapshot.npy", mask="mask.npy", model="{name}")""",
}
COMMANDS = {
    "picture": "glmha restore picture.png --model {name}",
    "rgb": "glmha reconstruct picture.png --model {name} -o cubes",
    "snapshot": "glmha reconstruct snapshot.npy --mask mask.npy --model {name} -o cubes",
}
INPUTS = {
    "picture": '"picture.png"',
    "rgb": '"picture.png"',
    "snapshot": '"snapshot.npy", mask="mask.npy"',
}
RESULTS = {
    "picture": """restored = processor.post_process(outputs, "picture.png")[0]
restored.save("restored.png")""",
    "rgb": "cube = processor.post_process(outputs)[0]  # bands×H×W",
    "snapshot": "cube = processor.post_process(outputs)[0]  # bands×H×W",
}
PIPELINES = {
    "picture": """restore = pipeline("image-restoration", model="{name}", trust_remote_code=True)
restore("picture.png").save("restored.png")""",
    "rgb": """reconstruct = pipeline(
    "spectral-reconstruction", model="{name}", trust_remote_code=True
)
cube = reconstruct("picture.png")  # bands×H×W""",
    "snapshot": """reconstruct = pipeline(
    "spectral-reconstruction", model="{name}", trust_remote_code=True
)
cube = reconstruct("snapshot.npy", mask="mask.npy")  # bands×H×W""",
}


def snippets(name: str, *, kind: str, has_code: bool, on_hub: bool) -> str:
    """The card's section on use; `kind` is what the model takes."""
    parts = [
        "## Use",
        "With glmha-hf installed, in one line, in tiles where the input would not fit in memory:",
        _python(f"import glmha_hf\n\n{CALLS[kind]}", name),
        f"```bash\n{COMMANDS[kind].format(name=name)}\n```",
        "The same by transformers' own classes:",
        _python(
            f"""import glmha_hf
import torch
from transformers import AutoImageProcessor, AutoModelForImageToImage

place = glmha_hf.resolve("{{name}}")
processor = AutoImageProcessor.from_pretrained(place)
model = AutoModelForImageToImage.from_pretrained(place, dtype=torch.float32)
with torch.no_grad():
    outputs = model(**processor({INPUTS[kind]}))
{RESULTS[kind]}""",
            name,
        ),
    ]
    if has_code and on_hub:
        parts += [
            "Where glmha-hf is not installed, with the code of this repository:",
            _python(f"from transformers import pipeline\n\n{PIPELINES[kind]}", name),
        ]
    return "\n\n".join(parts)


def _python(code: str, name: str) -> str:
    return f"```python\n{code.format(name=name)}\n```"
