"""The pages on which the shop's tables are edited."""

from django.contrib import admin

from .models import Customer, Order


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    list_display = ("name", "since")
    list_filter = ("since",)
    search_fields = ("name",)
    date_hierarchy = "since"


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_filter = ("paid", "customer")
