"""CairnDB through Django (psycopg): migrations, models, the admin's queries, inspectdb."""

import io
import os

import django
from django.conf import settings

settings.configure(
    DEBUG=True,
    SECRET_KEY="for the test only",
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF="shop.urls",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "cairn",
            "USER": "cairn",
            "HOST": os.environ["CAIRN_HOST"],
            "PORT": os.environ["CAIRN_PORT"],
        }
    },
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.postgres",
        "shop",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    STATIC_URL="static/",
)


django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.functions import Rank, TruncMonth  # noqa: E402
from django.test import Client  # noqa: E402
from shop.models import Customer, Order  # noqa: E402


def migrate():
    call_command("migrate", verbosity=0)
    out = io.StringIO()
    call_command("showmigrations", "shop", stdout=out)
    assert out.getvalue().count("[X]") == 2, out.getvalue()
    call_command("migrate", "shop", "0001", verbosity=0)
    call_command("migrate", "shop", verbosity=0)
    call_command("makemigrations", "shop", check=True, verbosity=0)


def query():
    Customer.objects.all().delete()
    Customer.objects.bulk_create(
        Customer(name=f"Customer {n}", data={"n": n, "deep": {"x": [n]}}, tags=["a", f"t{n}"]) for n in range(10)
    )
    customers = list(Customer.objects.order_by("id"))
    Order.objects.bulk_create(Order(customer=c, total=10 * n + k, paid=k == 0) for n, c in enumerate(customers) for k in range(3))
    assert Customer.objects.filter(data__deep__x__0=3).get().name == "Customer 3"
    assert Customer.objects.filter(tags__contains=["t4"], name__icontains="customer").count() == 1
    assert Customer.objects.filter(orders__paid=False).distinct().count() == 10
    best = Customer.objects.annotate(total=Sum("orders__total"), n=Count("orders", filter=Q(orders__paid=True))).order_by("-total")
    assert (best[0].total, best[0].n) == (273, 1)
    newest = Order.objects.filter(customer=OuterRef("pk")).order_by("-id").values("total")[:1]
    assert list(Customer.objects.annotate(last=Subquery(newest)).order_by("id").values_list("last", flat=True)[:2]) == [2, 12]
    assert Customer.objects.filter(Exists(Order.objects.filter(customer=OuterRef("pk"), total__gt=90))).count() == 1
    ranked = Order.objects.annotate(place=Window(Rank(), partition_by="customer", order_by=F("total").desc()))
    assert ranked.filter(place=1).count() == 10
    months = Customer.objects.annotate(month=TruncMonth("since")).values("month").annotate(n=Count("id"))
    assert months[0]["n"] == 10
    assert Order.objects.aggregate(average=Avg("total"))["average"] == 46
    Order.objects.filter(total__lt=5).update(total=F("total") + 100)
    assert Order.objects.select_related("customer").order_by("-total")[0].customer.name == "Customer 0"
    customer, created = Customer.objects.update_or_create(name="Customer 1", defaults={"tags": ["new"]})
    assert not created and customer.tags == ["new"]
    Customer.objects.bulk_create(
        [Customer(name="Customer 2", tags=["again"])], update_conflicts=True, unique_fields=["name"], update_fields=["tags"]
    )
    with transaction.atomic():
        locked = Customer.objects.select_for_update().get(name="Customer 2")
        assert locked.tags == ["again"]
        try:
            with transaction.atomic():
                Order.objects.create(customer=locked, total=-1)
        except IntegrityError as error:
            assert "shop_total_positive" in str(error)
    assert sum(1 for _ in Order.objects.iterator(chunk_size=7)) == 30
    assert "Index" in Customer.objects.filter(name="Customer 1").explain()


def pages():
    User.objects.create_superuser("root", password="root")
    client = Client()
    assert client.login(username="root", password="root")
    assert client.get("/admin/").status_code == 200
    page = client.get("/admin/shop/customer/?q=customer+3")
    assert page.status_code == 200 and b"Customer 3" in page.content
    number = Customer.objects.get(name="Customer 3").pk
    form = {"name": "Customer 33", "data": '{"a": 1}', "tags": "a,b", "since_0": "2024-01-02", "since_1": "03:04:05"}
    answer = client.post(f"/admin/shop/customer/{number}/change/", form)
    assert answer.status_code == 302, answer.content
    assert Customer.objects.get(pk=number).tags == ["a", "b"]
    assert client.get(f"/admin/shop/customer/{number}/history/").status_code == 200
    delete = {"action": "delete_selected", "_selected_action": number, "post": "yes"}
    assert client.post("/admin/shop/customer/", delete).status_code == 302
    assert not Customer.objects.filter(pk=number).exists()
    assert client.get("/admin/shop/order/?paid__exact=1").status_code == 200


def inspect():
    out = io.StringIO()
    call_command("inspectdb", stdout=out)
    text = out.getvalue()
    for line in (
        "class ShopCustomer(models.Model):",
        "name = models.CharField(unique=True, max_length=40)",
        "data = models.JSONField()",
        "total = models.DecimalField(max_digits=10, decimal_places=2)",
        "customer = models.ForeignKey(ShopCustomer, models.DO_NOTHING)",
    ):
        assert line in text, f"{line}\n{text}"
    assert "Unable to inspect" not in text, text
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "shop_order")
    assert found["shop_total_positive"]["check"]
    assert any(own["foreign_key"] == ("shop_customer", "id") for own in found.values())
    call_command("flush", interactive=False, verbosity=0)
    assert Customer.objects.count() == 0


migrate()
query()
pages()
inspect()
print("Django: migrations, queries, admin, inspectdb")
