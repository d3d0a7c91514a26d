"""What is said around the paper's tables: conventions, deviations, and their reasons."""

INTRODUCTION = """# The paper's tables, made again

```bash
{command}
```

This page is what that command writes. It counts full-size networks on 256×256 inputs, on no data;
no number of ours is copied from anywhere. **Every PSNR under "paper's PSNR" is the paper's**, and
"not measured" stands wherever no trained weights of that very network were scored here
(`glmha evaluate MODEL --data SET`, then `glmha paper --results evaluation/results.json`).

Two ways of counting a GFLOP (one multiply-accumulate each, in the papers as here):

- **conv + linear**: convolutions and linear layers alone, as Restormer's authors and after them the
  paper count: the products of queries, keys and values are left out;
- **every MAC**: those products, hashes and random features too.

"deviation" is ours less the paper's, "change" is against the table's first row, both under
conv + linear unless it says otherwise."""

_RESTORMER = """Restormer's 140.99 G is the conv + linear count, to the last digit. The paper's
savings cannot be derived from its own equations: keys and values at half rank, with depth-wise
convolutions as narrow, save 11.12 G and 1.66 M parameters (18.06 G with the products), where the
paper prints {printed}. Ours save more; what is counted is the definition of Eqs. (3) to (7), and
Eq. (8) holds for it exactly (see below)."""

_FULL_SIZE = """Reformer, Linformer and Performer generate queries, keys and values at full size, so
a conv + linear count cannot fall for them, as the paper's does; what they change are the products,
in the every-MAC column."""

_MST = """The base number, {base} G, is the one that {backbone}'s authors print. No counter tried
gives it: ours is {conv} (conv + linear) and {every} (every MAC); {others}. So the changes are what
can be compared. {change}"""

REASONS = {
    "1": _MST.format(
        base="23.05",
        backbone="MST++",
        conv="20.96",
        every="22.19",
        others="fvcore 0.1.5 says 22.29, thop 0.1.1 says 23.31 (it counts transposed convolutions "
        "four times)",
        change="GLMHA's agrees under conv + linear: −0.91 G against the paper's −0.92 G. Reformer, "
        "Linformer and Performer add to the products alone, by less or more than the paper says "
        "as their hashes, ranks and features are chosen, which it does not give. Eq. (8) saves "
        "0.050 M parameters, the paper prints 0.02 M. Linformer's two projections add parameters, "
        "where the paper prints none.",
    ),
    "2": _MST.format(
        base="28.15",
        backbone="MST",
        conv="25.67",
        every="27.34",
        others="fvcore 0.1.5 says 27.48, thop 0.1.1 says 26.40",
        change="GLMHA saves 1.39 G under conv + linear, the paper prints 1.14 G; 0.078 M "
        "parameters, the paper prints 0.03 M. Linformer at half rank moves as many products as it "
        "saves, so its every-MAC count stays.",
    ),
    "3": _RESTORMER.format(printed="7.72 G and 0.37 M") + " " + _FULL_SIZE,
    "4": _RESTORMER.format(printed="6.46 G and 0.35 M")
    + " It is the network and the setting of Table 3, for which the paper prints other numbers. "
    + _FULL_SIZE,
    "5": "Costs and PSNR are the GLMHA paper's, for the methods as it cites them. A model of ours "
    "appears with the set it was measured on, which need not be the benchmark's.",
    "6": "Costs and PSNR are the GLMHA paper's, for the methods as it cites them; Restormer's own "
    "paper prints 33.96 dB for deraining, the GLMHA paper 33.94. A model of ours appears with the "
    "set it was measured on, which need not be the benchmark's.",
    "7": "The conv + linear count falls in proportion to the reduction, as it must where keys and "
    "values are generated at rank. The paper's falls slowly, then fast, then slowly again "
    "(−1.54, −6.46, −14.88, −16.20 G), which no linear law gives; at 75% it is close to ours.",
    "8": "α is a constant of the configuration: it changes neither count. Training with another is "
    "`alpha=0.3` in a recipe.",
    "9": "A level is a resolution, encoder and decoder together (level 1 with the refinement "
    "blocks). Level 1 alone saves no parameters here, to the last one: with one head, what keys "
    "and values save, the calibration's C×C map takes back; only multiply-accumulates fall. The "
    "paper's total saving is smaller, for the reason given under Table 4.",
    "eq8": "Eq. (8) is the share 1/(3n²) of 2n² − 2n²/r − n²/h² − nk², with r = C/C' and k = 3. "
    "MST's and MST++'s layers save exactly that. Restormer's keys and values also have depth-wise "
    "3×3 convolutions, which narrow with them and save 18(C − C') more; without these the "
    "difference is zero. Restormer's first level has 48 channels on the way down and 96 on the way "
    "up, both with one head.",
}

NOTES = """## Figures

Figures need weights and pictures:

```bash
glmha paper figure1 --model MODEL --data SET        # eigenvalues of the attention maps, by level
glmha paper figure5 --model MODEL --data ARAD_1K    # bands of the cubes, and spectra at pixels
glmha paper figure6 --model MODEL --data KAIST      # the same for CASSI
glmha paper figure7 --model MODEL --data SET        # crops of pictures with their PSNR
```

Figure 1 draws the cumulative share of the eigenvalues of A·Aᵀ (the squared singular values of the
map A), averaged over heads and pictures, and prints each level's effective rank at 90, 95 and 99%
of the energy with the `kv_reduction` that leaves as many channels."""
