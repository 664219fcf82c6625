"""A run from request to settlement: plan, partitions, weeks, recovery. Without Celery."""
