"""What the README's figures come from. Each prints ratios against a baseline of the same run: machines are noisy."""

from __future__ import annotations

from marketspine import cores

cores.keep_freed_memory()
