"""An index, a constraint, a column that comes, changes and goes, and rows."""

from django.db import migrations, models
from django.db.models.functions import Lower


def first(apps, _editor):
    apps.get_model("shop", "Customer").objects.get_or_create(name="first")


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [
        migrations.AddIndex("customer", models.Index(Lower("name"), name="shop_lower_name")),
        migrations.AddConstraint(
            "order", models.CheckConstraint(condition=models.Q(total__gte=0), name="shop_total_positive")
        ),
        migrations.AddField("customer", "note", models.TextField(null=True)),
        migrations.AlterField("customer", "note", models.CharField(max_length=90, default="none")),
        migrations.RenameField("customer", "note", "remark"),
        migrations.RunPython(first, migrations.RunPython.noop),
        migrations.RemoveField("customer", "remark"),
    ]
