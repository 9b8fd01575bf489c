"""The repositories that the pages are tested on: a shop with a promotion, and one whose every name is hostile."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import epoch_sql
from epoch_sql import config
from epoch_sql.errors import MergeConflict

ADA = "Ada <ada@example.com>"
GRACE = "Grace <grace@example.com>"
EDSGER = "Edsger <edsger@example.com>"

SCRIPT = "<script>alert('{}')</script>"
HOSTILE_TABLE = "<img src=x onerror=alert('table')>"
HOSTILE_COLUMN = "\"><script>alert('column')</script>"
HOSTILE_CHECK = "<b onmouseover=alert('check')>"


def make_shop(folder: Path, orders: int = 200) -> Path:
    """A promotion from staging to production that one check stops, and a merge in progress into development."""
    path = folder / "shop.duckdb"
    with epoch_sql.init(path, branch="production", author=ADA) as repo:
        run = repo.connection.execute
        run("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER, status VARCHAR, note VARCHAR)")
        run(f"INSERT INTO orders SELECT i, i * 10, 'new', NULL FROM range(1, {orders} + 1) AS numbers (i)")
        run("CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR, city VARCHAR, phone VARCHAR)")
        run(
            "INSERT INTO customers VALUES (1, 'Ann', 'Utrecht', '1'), (2, 'Bob', 'Delft', '2'), (3, 'Cay', 'Gouda', '3')"
        )
        repo.commit("Orders and customers")
        repo.tag("v1.0.0")
        for branch in ("staging", "development"):
            repo.branch(branch)
        repo.protect("production", require_review=True)
        config.set_value(config.repository_config(path), "environments", "development staging production")
        repo.check_add("amounts-are-positive", "SELECT id, amount FROM orders WHERE amount <= 0", branch="production")
        repo.check_add("orders-are-there", "SELECT 1 WHERE (SELECT count(*) FROM orders) = 0")

        repo.checkout("hotfix", new_branch=True)
        run("UPDATE customers SET city = 'Leiden' WHERE id = 2")
        repo.commit("Bob has moved", author=EDSGER)
        repo.review("hotfix", "production", reviewer=GRACE)
        repo.merge("hotfix", into="production", author=EDSGER)

        repo.checkout("staging")
        run(f"UPDATE orders SET amount = amount - 2 WHERE id <= {orders // 2}")
        run(f"UPDATE orders SET amount = -amount WHERE id = {orders}")
        run(f"INSERT INTO orders SELECT {orders} + i, 5, 'paid', NULL FROM range(1, 11) AS numbers (i)")
        run(f"DELETE FROM orders WHERE id = {orders - 1}")
        repo.commit("Discounts, and ten new orders", author=ADA)
        run("ALTER TABLE customers DROP COLUMN phone")
        run("ALTER TABLE orders ADD COLUMN paid_at DATE")
        repo.commit("No phone numbers\n\nNobody calls them.", author=ADA)
        repo.review("staging", "production", verdict="request", message="Please look at the discounts.", reviewer=ADA)

        repo.branch("seats", "production")
        repo.checkout("seats")
        run("UPDATE customers SET name = 'Anne' WHERE id = 1")
        run("UPDATE customers SET city = 'Breda' WHERE id = 3")
        repo.commit("Names as on the cards", author=EDSGER)
        repo.checkout("development")
        run("UPDATE customers SET name = 'Anna' WHERE id = 1")
        run("DELETE FROM customers WHERE id = 3")
        repo.commit("Names as they are spoken", author=GRACE)
        with suppress(MergeConflict):
            repo.merge("seats", into="development")
    return path


def make_hostile(folder: Path) -> Path:
    """A repository in which each name, value, message and author that can be is a piece of HTML."""
    path = folder / "hostile.duckdb"
    author = f"{SCRIPT.format('author')} <x@example.com>"
    table, column = (name.replace('"', '""') for name in (HOSTILE_TABLE, HOSTILE_COLUMN))
    with epoch_sql.init(path, branch="production", author=author) as repo:
        run = repo.connection.execute
        run(f'CREATE TABLE "{table}" (id INTEGER PRIMARY KEY, "{column}" VARCHAR, from_x VARCHAR)')
        run(
            f"INSERT INTO \"{table}\" VALUES (1, ?, ?), (2, NULL, ''), (3, ?, ?)",
            ["<svg onload=alert(1)>", "javascript:alert(2)", f"</td></tr></table>{SCRIPT.format(3)}", "{{7*7}}"],
        )
        repo.commit(SCRIPT.format("first"))
        repo.branch("staging")
        repo.checkout("staging")
        run(
            f'UPDATE "{table}" SET "{column}" = ?, from_x = ?',
            ['"><img src=y onerror=alert(4)>', f"{'x' * 5000}\u202eabc"],
        )
        repo.commit(f"{SCRIPT.format('message')}\n{SCRIPT.format('body')}")
        repo.check_add(
            HOSTILE_CHECK, f"SELECT '{SCRIPT.format(7).replace(chr(39), chr(39) * 2)}' AS \"<i>\"", branch="production"
        )
        repo.review("staging", "production", verdict="request", message=SCRIPT.format(8))
    return path
