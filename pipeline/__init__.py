"""The one Django app: from a published file to vintages, analytics and a verdict."""

VERSION = "0.1.0"
