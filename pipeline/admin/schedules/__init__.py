"""Schedules: their list, their form, their times."""
