"""The first page: figures, the grid of weeks and tiers, charts."""
