"""Files for those who run Market Spine, and the scripts that make some of them."""
