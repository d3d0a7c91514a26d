"""Image restoration and hyperspectral reconstruction with guided low-rank attention."""
