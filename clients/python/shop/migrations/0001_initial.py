"""The tables."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations = [
        migrations.CreateModel(
            "Customer",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=40, unique=True)),
                ("data", models.JSONField(default=dict)),
                ("tags", django.contrib.postgres.fields.ArrayField(models.TextField(), default=list)),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("total", models.DecimalField(max_digits=10, decimal_places=2)),
                ("paid", models.BooleanField(default=False)),
                (
                    "customer",
                    models.ForeignKey("shop.Customer", on_delete=django.db.models.deletion.CASCADE, related_name="orders"),
                ),
            ],
        ),
    ]
