#!/usr/bin/env python
"""Market Spine's command line: `python manage.py help` lists the commands."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

COULD_NOT_RUN = 2

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(f"misconfigured: {error}", file=sys.stderr)
        sys.exit(COULD_NOT_RUN)
