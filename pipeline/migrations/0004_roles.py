"""The roles, as groups: Viewer opens everything, Operator acts on it, Administrator also keeps schedules, channels and users."""

from typing import Any

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

ACTS = ("can_run", "can_force", "can_resolve", "can_pin", "can_cancel", "can_notify")
KEEPING = ("can_prune", "can_keep_tokens", "add_channel", "change_channel", "delete_channel")
KEPT = ("user", "group", "periodictask", "crontabschedule", "intervalschedule", "solarschedule", "clockedschedule")
SEEN_BY_ADMINISTRATORS = ("auth", "admin", "sessions", "contenttypes", "axes", "django_celery_results")


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the groups that are not there, and give those the permissions: a group that is there is left as it is."""
    for config in apps.get_app_configs():
        config.models_module = True  # type: ignore[assignment] # historical apps have none, and are passed over
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.all()
    of_pipeline = permissions.filter(content_type__app_label="pipeline")
    viewing = permissions.filter(codename__startswith="view_").exclude(
        content_type__app_label__in=SEEN_BY_ADMINISTRATORS
    )
    acting = of_pipeline.filter(codename__in=ACTS)
    keeping = permissions.filter(
        content_type__model__in=KEPT, content_type__app_label__in=("auth", "django_celery_beat")
    )
    for name, granted in (
        ("Viewer", [*viewing]),
        ("Operator", [*viewing, *acting]),
        ("Administrator", [*viewing, *acting, *keeping, *of_pipeline.filter(codename__in=KEEPING)]),
    ):
        group, created = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        if created:
            group.permissions.set(granted)


class Migration(migrations.Migration):
    """The groups."""

    dependencies: list[Any] = [
        ("pipeline", "0003_schedules"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations: list[Any] = [migrations.RunPython(create, migrations.RunPython.noop)]
