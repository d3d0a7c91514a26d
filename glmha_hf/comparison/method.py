"""What the page says around its tables: what was done, and how far it can be trusted."""

INTRODUCTION = """# Attentions compared at one budget

```bash
{command}
```

This page is what that command writes, without any training, of the tables in `{folder}/`:
`results.csv` (a row a trained cell), `curves.csv` (a row a validation), and where they were asked
for `times.csv` and `ranks.csv`. No number and no verdict is written by hand. A cell is one variant
with one seed; the command above each group's tables trains and scores those that are missing, on
data of your own."""

METHOD = """\
- Within a group all cells share data, updates, batches, schedule, loss and learning rate; nothing
  was tuned for one attention. Batch *i* depends on the seed and on *i* alone, so the variants of
  one seed see the same patches in the same order.
- For each seed all variants start from the same fresh weights, those of the group's first variant,
  wherever a tensor has the same shape; the others (narrower keys and values, calibration networks)
  are drawn from the same seed.
- Scored are the averaged weights (EMA) of the run's end, in float32, on held-out pictures or scenes
  that no cell trained on, by the protocol that the papers score with. No weights were chosen by
  their score. Learning curves are scored while training, in the training's precision.
- Parameters and MACs are counted on the published operations for a 256×256 input, every
  multiply-accumulate. With α = 0 the guidance is X̲ = X: the function is that of low-rank attention
  without a calibration network, and the network is not counted.
- "±" after a score is the sample standard deviation over the seeds; after a difference it is twice
  the standard error of the seed-by-seed differences.
- Two variants are said to differ ("better", "worse") only where the mean of those differences
  exceeds both twice their standard error and the larger of the two variants' standard deviations.
  Everything else is "no difference beyond the spread". That is a rule of thumb, not a test of
  significance: many pairs are compared, and with two or three seeds a standard deviation is itself
  poorly known. A variant without all its seeds is unfinished, and nothing is said of it."""

LIMITS = """## What this size can and cannot tell

These are small networks after a short training on small patches, seen on synthetic degradations.
That can tell which attention learns faster from the same start and what each costs, and a large
difference here is a reason to look twice at a larger size. It cannot tell what the attentions reach
when they are trained to the end: the paper trains full-size networks some hundred thousand updates
on the benchmarks' data, and gaps of a tenth of a decibel may open, close or turn by then. The
paper's numbers stand beside ours for their differences; the levels are those of other networks on
other data. "No difference beyond the spread" means that this experiment does not show one, not
that there is none.

The same command runs larger with `length_scale=4` (or `batch_scale=2`, `run.compile=true`) and
folders of its own, `--output FOLDER --results FOLDER`; results of different budgets are refused in
one table."""

TIMES = """### Time

```bash
{command} --only '{group}/*' --time
```

Medians for a 256×256 input, all attentions in turn in one process, random weights; the ratio is to
the first attention in the same form and precision (below 1 is faster)."""

RANKS = """### Rank

```bash
{command} --only '{group}/*' --rank
```

The eigenvalues of A·Aᵀ that hold so much of the energy, as a share of a head's channels: of each
level the block that needs most, mean over held-out examples, heads and seeds (Figure 1 of the
paper). Keys and values of GLMHA at half rank leave at most half."""
