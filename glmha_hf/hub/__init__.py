"""The zoo's names, model cards, and the way to the Hub and back."""
