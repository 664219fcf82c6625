"""What the README's figures come from. Each prints ratios against a baseline of the same run: machines are noisy."""
