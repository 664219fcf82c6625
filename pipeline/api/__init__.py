"""The readers' answers over HTTP, below /api/v1/: strict, paged by keys, cached by their inputs. They compute nothing."""
