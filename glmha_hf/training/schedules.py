"""Learning rates as closed formulas of the iteration, so that nothing has to be resumed."""

from __future__ import annotations

import math

from torch.optim import Optimizer

from .recipe import LearningRateRecipe
from .typed import RecipeError


class LearningRate:
    """`rate(t)` is what update t takes, counting from 0, out of `iterations` updates."""

    def __init__(self, recipe: LearningRateRecipe, *, iterations: int) -> None:
        if recipe.name == "constant_then_cosine" and recipe.constant_iterations >= iterations:
            raise RecipeError(
                f"learning_rate.constant_iterations ({recipe.constant_iterations}) leaves no "
                f"cosine: the stages have {iterations} iterations"
            )
        self.recipe = recipe
        self.iterations = iterations

    def __call__(self, iteration: int) -> float:
        recipe = self.recipe
        if iteration < recipe.warmup_iterations:
            return recipe.peak * (iteration + 1) / recipe.warmup_iterations
        if recipe.name == "constant":
            return recipe.peak
        if recipe.name == "halving":
            return recipe.peak * 0.5 ** sum(iteration >= at for at in recipe.halve_at)
        constant = recipe.constant_iterations if recipe.name == "constant_then_cosine" else 0
        if iteration < constant:
            return recipe.peak
        progress = (iteration - constant) / (self.iterations - constant)
        swing = 0.5 * (1 + math.cos(math.pi * progress))
        return recipe.floor + (recipe.peak - recipe.floor) * swing

    def set(self, optimizer: Optimizer, iteration: int) -> float:
        rate = self(iteration)
        for group in optimizer.param_groups:
            group["lr"] = rate
        return rate
