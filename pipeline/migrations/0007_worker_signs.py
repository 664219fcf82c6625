"""When the workers of each machine were last seen."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One table."""

    dependencies = [("pipeline", "0006_roles")]

    operations = [
        migrations.CreateModel(
            name="WorkerSign",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("machine", models.CharField(max_length=120, unique=True)),
                ("seen_at", models.DateTimeField()),
            ],
        ),
    ]
