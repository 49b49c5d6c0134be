"""The tables of a small shop."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone


class Customer(models.Model):
    name = models.CharField(max_length=40, unique=True)
    data = models.JSONField(default=dict)
    tags = ArrayField(models.TextField(), default=list)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(Lower("name"), name="shop_lower_name")]


class Order(models.Model):
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="orders")
    total = models.DecimalField(max_digits=10, decimal_places=2)
    paid = models.BooleanField(default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(total__gte=0), name="shop_total_positive")]
