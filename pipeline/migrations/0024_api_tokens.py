"""Tokens of the API, kept by Administrators; everybody else has tokens of their own."""

from typing import Any

import django.db.models.deletion
from django.apps.registry import Apps
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def grant(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The Administrator's group, where it is there, keeps tokens."""
    config = apps.get_app_config("pipeline")
    config.models_module = True  # type: ignore[assignment] # a historical app has none, and is passed over
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permission = apps.get_model("auth", "Permission").objects.get(codename="can_keep_tokens")
    for group in apps.get_model("auth", "Group").objects.filter(name="Administrator"):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies: list[Any] = [
        ("pipeline", "0023_tally_and_stop_orders"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: list[Any] = [
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token_key", models.CharField(db_index=True, max_length=25)),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("expiry", models.DateTimeField(blank=True, null=True)),
                ("digest", models.CharField(max_length=128, unique=True)),
                (
                    "name",
                    models.CharField(
                        help_text="what it is for: the script or the machine that will use it", max_length=100
                    ),
                ),
                ("last_used_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="auth_token_set",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "API token",
                "ordering": ("-pk",),
                "permissions": (("can_keep_tokens", "Can keep the API tokens of others"),),
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(models.F("user"), models.F("name"), name="token_name_unique_of_a_user"),
                    models.CheckConstraint(condition=models.Q(("expiry__isnull", False)), name="token_expires"),
                ],
            },
        ),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
