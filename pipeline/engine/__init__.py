"""Celery: the canvas of a run, its driver, the sweeper, the schedules, the embedded worker and `serve`."""
