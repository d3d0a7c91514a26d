"""From a trained CSA model to GLMHA at a budget: what `glmha compress` is made of."""
