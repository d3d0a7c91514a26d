"""Running models on pictures of any size and number."""
