#!/usr/bin/env python
"""Market Spine's command line: `python manage.py help` lists the commands."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
    execute_from_command_line(sys.argv)
