"""What the pages show, and what their forms do: always what was looked at, and never what a name says in HTML."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

import epoch_sql
from epoch_sql.errors import EpochDatabaseError, MergeConflict
from epoch_sql.library import Repository
from tests.web.conftest import Pages
from tests.web.shop import ADA, GRACE, HOSTILE_CHECK, HOSTILE_TABLE

STAGING = {"source": "staging", "into": "production"}
FORM = {"form_token": "the-form-token"}


class Reader(HTMLParser):
    """The elements of a page, and its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    @property
    def links(self) -> Iterator[str]:
        for tag, attributes in self.elements:
            if tag == "a" and attributes.get("href"):
                yield str(attributes["href"])
            for name in ("data-row", "data-load"):
                if attributes.get(name):
                    yield str(attributes[name])


def told(text: str) -> str:
    """The text of a page, without its elements, in one line."""
    text = html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("\N{EN DASH}", "-").replace("\N{MINUS SIGN}", "-")
    return re.sub(r" (?=[.,:;])", "", re.sub(r"\s+", " ", text))


@contextmanager
def beside(database: Path) -> Iterator[Repository]:
    """The repository, once the pages have closed it."""
    deadline = time.monotonic() + 10
    while True:
        with suppress(EpochDatabaseError), epoch_sql.open(database) as repository:
            yield repository
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def said(client: TestClient, **form: str) -> str:
    """What an action says."""
    answer = client.post("/do", data=FORM | form)
    assert answer.status_code == 303, told(answer.text)
    return parse_qs(urlsplit(answer.headers["location"]).query)["said"][0]


def test_environments_say_what_waits_between_them(pages: Pages, shop: Path) -> None:
    text = told(pages(shop).get("/").text)
    assert "The merge of seats into development is in progress: 2 conflicts to settle." in text
    assert "2 commits 112 rows in 2 tables Review" in text
    assert "review asked for" in text
    assert "production has 1 commit that staging lacks: Bob has moved" in text
    assert "protected" in text


def test_a_promotion_has_a_verdict_with_its_reasons(pages: Pages, shop: Path) -> None:
    text = told(pages(shop).get("/promotion", params=STAGING).text)
    assert "Not ready: 1 check fails; nobody has approved it" in text
    assert "112 rows in 1 table and 2 definitions would change in production." in text
    assert "What production has and staging lacks (1 commit) stays." in text
    assert "Please look at the discounts." in text
    assert "check amounts-are-positive fails: 1 row" in text
    assert "customers.phone is dropped" in text
    assert "1 row of orders is removed (0.5 %)" in text
    assert "amount: -2 in 100 of 101" in text
    assert "10 added rows: amount is always 5, status is always paid, note is always NULL" in text
    assert "Conflicts none Checks 1 of 2 fails Review needed" in text


def test_what_cannot_be_undone_is_to_be_looked_at_first(pages: Pages, shop: Path) -> None:
    with beside(shop) as repo:
        repo.unprotect("production")
        repo.checkout("production")
        repo.connection.execute("CREATE TABLE visits (day DATE PRIMARY KEY)")
        repo.commit("Visits", author=ADA)
        repo.merge("production", into="staging")
        repo.checkout("staging")
        repo.connection.execute("ALTER TABLE orders ALTER amount TYPE SMALLINT; DROP TABLE visits")
        repo.commit("Less", author=ADA)
    look = told(pages(shop).get("/promotion", params=STAGING).text).partition("Look at first")[2]
    assert "table visits is dropped" in look and "orders.amount changes: amount INTEGER → amount SMALLINT" in look
    assert "50.5 % of the rows of orders are modified" in look


def test_the_review_of_a_promotion_stands_between_its_environments(pages: Pages, shop: Path) -> None:
    client = pages(shop)
    for verdict, shown in (("approve", "approved"), ("reject", "rejected")):
        with beside(shop) as repo:
            repo.review("staging", "production", verdict=verdict, reviewer=GRACE)  # type: ignore[arg-type]
        assert f"Review staging for production {shown}" in told(client.get("/").text)


@pytest.mark.slow
def test_a_reviewer_sees_what_is_new_since_the_last_verdict(pages: Pages, shop: Path) -> None:
    client = pages(shop)
    assert "New since" not in client.get("/promotion", params=STAGING).text
    with beside(shop) as repo:
        judged = repo.review("staging", "production", verdict="reject", reviewer=GRACE).source_commit
        repo.checkout("staging")
        repo.connection.execute("UPDATE orders SET amount = 2000 WHERE id = 200")
        repo.commit("As it should be", author=ADA)
    page = client.get("/promotion", params=STAGING).text
    assert f"New since you rejected {judged[:7]}" in told(page)
    since = page.partition('id="since"')[2].partition("</section>")[0]
    assert "As it should be" in since and "Discounts" not in since and "~ 1 modified" in told(since)
    [rows] = [link for link in Reader(since).links if link.startswith("/rows")]
    assert "-2000 → 2000" in told(client.get(rows).text)
    with beside(shop) as repo:
        repo.review("staging", "production", reviewer=GRACE)
    assert "New since" not in client.get("/promotion", params=STAGING).text


@pytest.mark.slow
def test_the_numbers_of_a_merge_in_progress_follow_its_decisions(pages: Pages, shop: Path) -> None:
    client, merge = pages(shop), {"source": "seats", "into": "development"}

    def shown() -> str:
        text = ""
        for address in ("/promotion", "/promotion", "/rows"):
            text = told(client.get(address, params=merge | {"table": "customers"}).text)
        return text

    asked = {"into": "development", "table": "customers", "key": '{"id":1}', "column": "name"}
    before = shown()
    for value in ("Annie", "Anneke"):
        said(client, action="resolve", value=value, **asked)
        assert f"Anna → {value}" in shown()
    said(client, action="resolve", side="ours", **asked)
    assert shown() == before


def test_the_numbers_are_those_of_the_merge_and_not_of_a_difference(pages: Pages, shop: Path) -> None:
    """Bob's new city is in production only: a difference of the branches shows it undone, the merge keeps it."""
    text = told(pages(shop).get("/promotion", params=STAGING).text)
    assert "customers viewed customers - removed column phone VARCHAR" in text
    assert "Leiden" not in text


def test_rows_are_filtered_sorted_searched_and_paged(pages: Pages, shop: Path) -> None:
    client = pages(shop)

    def rows(**asked: str) -> tuple[str, list[str]]:
        text = client.get("/rows", params=STAGING | {"table": "orders"} | asked).text
        kinds = [str(a["class"]) for tag, a in Reader(text).elements if tag == "tr" and "data-row" in a]
        return told(text), kinds

    text, kinds = rows()
    assert len(kinds) == 50 and "1-50 of 112 rows" in text and "20 → 18" in text
    assert "101-112 of 112 rows" in rows(at="101")[0]
    assert rows(at="1000000")[0].count("112 of 112 rows") == 1
    assert rows(at="x")[1] == rows()[1] == rows(at="-4")[1]
    assert set(rows(kind="added")[1]) == {"added"} and len(rows(kind="added")[1]) == 10
    assert rows(kind="removed")[1] == ["removed"]
    assert len(rows(kind="nonsense")[1]) == 50
    assert "of 101 rows" in rows(column="amount")[0]
    assert rows(column="amount", sort="size")[0].index("2000 → -2000") < rows(column="amount", sort="size")[0].index(
        "→ 8"
    )
    assert "1-1 of 1 row" in rows(q="-2000")[0]
    assert "No row is like that." in rows(q="zzz")[0]
    split = rows(view="split", columns="all")[0]
    assert "production now" in split and "production after the merge" in split and "note" in split


def test_one_row_in_full(pages: Pages, shop: Path) -> None:
    client = pages(shop)
    text = client.get("/rows", params=STAGING | {"table": "orders", "q": "-2000"}).text
    [address] = [link for link in Reader(text).links if link.startswith("/record")]
    assert "Modified id 200 amount 2000 → -2000" in told(client.get(address).text)
    assert client.get(address.replace("n=", "n=99999")).status_code == 404
    assert client.get(address.replace("n=", "n=x")).status_code == 404


def test_a_check_shows_its_query_its_rows_and_what_the_target_has_today(pages: Pages, shop: Path) -> None:
    text = told(pages(shop).get("/promotion/check", params=STAGING | {"name": "amounts-are-positive"}).text)
    assert "SELECT id, amount FROM orders WHERE amount <= 0" in text
    assert "200 -2000" in text
    assert "On production as it is, it returns none." in text


def test_history_commit_data_and_a_row(pages: Pages, shop: Path) -> None:
    client = pages(shop)
    text = client.get("/history").text
    assert "Bob has moved" in text and "Names as they are spoken" in text
    commit = next(link for link in Reader(text).links if link.startswith("/commit"))
    assert client.get(commit).status_code == 200
    [discounts] = re.findall(r'href="(/commit[^"]*)"><bdi>Discounts', text)
    shown = client.get(discounts).text
    assert "+ 10 added ~ 101 modified - 1 removed" in told(shown)
    rows = html.unescape(next(link for link in Reader(shown).links if link.startswith("/rows")))
    assert "1-50 of 112 rows" in told(client.get(rows).text)
    data = client.get("/data", params={"ref": "v1.0.0", "table": "customers"}).text
    assert "Delft" in data and "Leiden" not in data
    row = next(link for link in Reader(client.get("/data?ref=production&table=customers").text).links if "/row" in link)
    assert "Orders and customers" in client.get(row).text
    bob = told(client.get("/row", params={"ref": "production", "table": "customers", "key": '{"id":2}'}).text)
    assert "city Leiden Bob has moved Edsger" in bob and "name Bob Orders and customers Ada" in bob
    wrong = client.get("/data", params={"ref": "production", "sql": "SELECT nothing"}).text
    assert 'role="alert"' in wrong and "nothing" in wrong


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/promotion?source=gone&into=production", 400),
        ("/promotion?source=staging&into=gone", 400),
        ("/promotion", 404),
        ("/rows?source=staging&into=production&table=gone", 404),
        ("/rows?before=gone&after=production&table=orders", 400),
        ("/promotion/check?source=staging&into=production&name=gone", 404),
        ("/commit?id=0000000", 400),
        ("/row?table=gone&key=1", 400),
        ("/data?ref=gone", 400),
        ("/nowhere", 404),
        ("/static/../page.py", 404),
        ("/static/%2e%2e/page.py", 404),
    ],
)
def test_what_is_not_there_is_said_in_one_line(pages: Pages, shop: Path, address: str, status: int) -> None:
    answer = pages(shop).get(address)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_approve_and_merge_act_on_what_was_looked_at(pages: Pages, shop: Path) -> None:
    with beside(shop) as repo:
        repo.check_remove("amounts-are-positive")
        tips = {branch.name: branch.commit for branch in repo.branches()}
    client, seen = pages(shop), tips["staging"]
    act = {**STAGING, "commit": seen, "target_commit": tips["production"]}
    assert "disabled>Merge into" in client.get("/promotion", params=STAGING).text.replace("<bdi>", "")
    approved = said(client, action="review", verdict="approve", message="Good", **act)
    assert approved == f"Approved staging ({seen[:7]}) for production"
    assert "Ready to merge" in client.get("/promotion", params=STAGING).text
    with beside(shop) as repo:
        repo.checkout("staging")
        repo.connection.execute("DELETE FROM orders")
        repo.commit("What nobody has looked at", author=ADA)
    for form in ({"action": "merge"}, {"action": "review", "verdict": "approve"}):
        answer = client.post("/do", data=FORM | act | form)
        assert answer.status_code == 400
        assert "staging" in answer.text and seen[:7] in answer.text
    with beside(shop) as repo:
        assert repo.connection.sql("SELECT count(*) FROM epoch_at('production', 'orders')").fetchall() == [(200,)]
        repo.reset(seen, hard=True)
    assert said(client, action="merge", **act).startswith("Merged staging into production (")
    with beside(shop) as repo:
        assert repo.log("production", max_count=1)[0].message == "Merge staging into production"
        assert repo.log("production", max_count=1)[0].author == GRACE
        assert repo.reviews()[0].message == "Good"


def test_a_target_that_moved_since_is_not_merged_into(pages: Pages, shop: Path) -> None:
    with beside(shop) as repo:
        tips = {branch.name: branch.commit for branch in repo.branches()}
        repo.unprotect("production")
        repo.check_remove("amounts-are-positive")
        repo.checkout("production")
        repo.connection.execute("DELETE FROM customers")
        repo.commit("Meanwhile")
    form = {"action": "merge", **STAGING, "commit": tips["staging"], "target_commit": tips["production"]}
    answer = pages(shop).post("/do", data=FORM | form)
    assert answer.status_code == 400 and "production is at" in answer.text and "you looked at" in answer.text


@pytest.mark.parametrize("way", ["revert", "reset"])
def test_a_rollback_shows_what_would_change_and_does_that(pages: Pages, shop: Path, way: str) -> None:
    with beside(shop) as repo:
        tips = {branch.name: branch.commit for branch in repo.branches()}
        [undone] = [entry for entry in repo.log("staging") if entry.message.startswith("No phone")]
        [wrong] = [entry for entry in repo.log("staging") if entry.message.startswith("Discounts")]
    client = pages(shop)
    asked = {"branch": "staging", "commit": wrong.commit, "way": way}
    page = client.get("/rollback", params=asked)
    text = told(page.text)
    assert ("112 rows" if way == "revert" else "115 rows") in text and (
        "1 later commit stays" if way == "revert" else "1 later commit is undone as well"
    ) in text
    assert ("No phone numbers" in text) == (way == "reset")
    rows = next(link for link in Reader(page.text).links if link.startswith("/rows") and "table=orders" in link)
    assert "1-50 of 112 rows" in told(client.get(rows).text)
    form = {"action": "roll_back", "into": "staging", "way": way, "commit": wrong.commit, "before": wrong.parents[0]}
    assert client.post("/do", data=FORM | form | {"target_commit": wrong.commit}).status_code == 400
    said(client, target_commit=tips["staging"], **form)
    with beside(shop) as repo:
        assert len(repo.query("staging", "FROM orders").fetchall()) == 200
        columns = repo.query("staging", "FROM customers").columns
        assert ("phone" in columns) == (way == "reset")
        assert undone.commit in {entry.commit for entry in repo.log("staging")} or way == "reset"


def test_a_rollback_with_conflicts_goes_on_to_settle_them(pages: Pages, shop: Path) -> None:
    with beside(shop) as repo:
        repo.merge_abort(into="development")
        repo.connection.execute("UPDATE customers SET name = 'Anya' WHERE id = 1")
        repo.commit("Again")
        tip, wrong = repo.log("development", max_count=2)
    client = pages(shop)
    assert "1 conflict to settle" in told(
        client.get("/rollback", params={"branch": "development", "commit": wrong.commit}).text
    )
    form = {"action": "roll_back", "into": "development", "way": "revert", "before": wrong.parents[0]}
    answer = client.post("/do", data=FORM | form | {"commit": wrong.commit, "target_commit": tip.commit})
    assert answer.status_code == 303 and answer.headers["location"].startswith("/conflicts?into=development")
    assert "0 of 1 conflict settled" in told(client.get("/conflicts").text)


@pytest.mark.slow
def test_an_author_is_told_that_an_approval_does_not_count(pages: Pages, shop: Path) -> None:
    told_so = "is an author of what this brings, so an approval does not count."
    assert f"Ada {told_so}" in told(pages(shop, author=ADA).get("/promotion", params=STAGING).text)
    with beside(shop):
        client = pages(shop)
    assert told_so not in told(client.get("/promotion", params=STAGING).text)
    with beside(shop) as repo:
        repo.merge("production", into="staging", author=GRACE)
    # The rules count a merge as well: its author has put the sides together.
    assert f"Grace {told_so}" in told(client.get("/promotion", params=STAGING).text)
    with beside(shop) as repo:
        repo.protect("production", require_review=True, allow_self_review=True)
    assert told_so not in told(client.get("/promotion", params=STAGING).text)


def test_conflicts_are_settled_cell_by_cell_and_merged(pages: Pages, shop: Path) -> None:
    client = pages(shop)
    text = told(client.get("/conflicts").text)
    assert "0 of 2 conflicts settled" in text and "the whole row" in text
    act = {"into": "development", "table": "customers"}
    assert said(client, action="resolve", key='{"id":1}', column="name", value="Annie", **act) == "1 conflict left"
    assert "1 of 2 conflicts settled" in told(client.get("/conflicts").text)
    assert said(client, action="resolve", key='{"id":3}', side="theirs", **act) == "Every conflict is settled"
    assert said(client, action="finish", into="development").startswith("Merged into development (")
    with beside(shop) as repo:
        assert repo.query("development", "SELECT name, city FROM customers ORDER BY id").fetchall() == [
            ("Annie", "Utrecht"),
            ("Bob", "Leiden"),
            ("Cay", "Breda"),
        ]


def test_null_is_a_value_and_a_violation_is_settled_by_a_side(pages: Pages, shop: Path) -> None:
    with beside(shop) as repo:
        repo.merge_abort(into="development")
        repo.checkout("one", new_branch=True)
        repo.connection.execute("CREATE TABLE cards (id INTEGER PRIMARY KEY, code VARCHAR UNIQUE, owner VARCHAR)")
        repo.connection.execute("INSERT INTO cards VALUES (1, 'a', 'Ann')")
        repo.commit("Cards")
        repo.branch("two")
        for number, name in ((2, "one"), (3, "two")):
            repo.checkout(name)
            repo.connection.execute(f"INSERT INTO cards VALUES ({number}, 'x', NULL)")
            repo.connection.execute(f"UPDATE cards SET owner = '{name}' WHERE id = 1")
            repo.commit(name)
        with suppress(MergeConflict):
            repo.merge("one", into="two")
    client, act = pages(shop), {"into": "two", "table": "cards"}
    text = told(client.get("/conflicts?into=two").text)
    assert "0 of 1 conflict settled, 2 violations" in text and "take the row of" in text
    assert said(client, action="resolve", key='{"id":1}', column="owner", side="null", **act) == "2 conflicts left"
    forms = client.get("/conflicts?into=two").text
    assert forms.count('name="constraint"') >= 2 and '<button class="primary" disabled>Merge</button>' in forms
    [constraint] = set(re.findall(r'name="constraint" value="([^"]*)"', forms))
    left = said(client, action="resolve", key='{"id":2}', side="ours", constraint=html.unescape(constraint), **act)
    assert left == "Every conflict is settled"
    assert said(client, action="finish", into="two").startswith("Merged into two (")
    with beside(shop) as repo:
        assert repo.query("two", "FROM cards ORDER BY id").fetchall() == [(1, "a", None), (3, "x", None)]


def test_conflicts_are_settled_by_side_or_given_up(pages: Pages, shop: Path) -> None:
    client = pages(shop)
    assert (
        said(client, action="resolve", table="customers", side="ours", into="development")
        == "Every conflict is settled"
    )
    assert "given up" in said(client, action="give_up", into="development")
    assert "No merge is in progress." in told(client.get("/conflicts").text)
    answer = client.post("/do", data=FORM | {"action": "give_up", "into": "development"})
    assert answer.status_code == 400 and "no merge" in answer.text


@pytest.mark.slow
def test_every_link_of_every_page_works(pages: Pages, shop: Path) -> None:
    """From each page to all that it names, without JavaScript."""
    client, seen, waiting = pages(shop), set[str](), ["/"]
    while waiting:
        address = waiting.pop()
        if address in seen or address.startswith("#") or len(seen) > 150:
            continue
        seen.add(address)
        answer = client.get(address)
        assert answer.status_code == 200, address
        waiting.extend(Reader(answer.text).links)
    assert {urlsplit(address).path for address in seen} >= {
        "/promotion",
        "/rows",
        "/record",
        "/commit",
        "/data",
        "/row",
    }


def test_hostile_names_and_values_are_text(pages: Pages, hostile: Path) -> None:
    client = pages(hostile)
    addresses = [
        ("/", {}),
        ("/promotion", STAGING),
        ("/promotion", STAGING | {"wait": "1"}),
        ("/promotion/patterns", STAGING | {"table": f'main."{HOSTILE_TABLE}"'}),
        ("/rows", STAGING | {"table": HOSTILE_TABLE}),
        ("/rows", STAGING | {"table": HOSTILE_TABLE, "view": "split", "columns": "all"}),
        ("/promotion/check", STAGING | {"name": HOSTILE_CHECK}),
        ("/history", {}),
        ("/data", {"ref": "staging", "table": HOSTILE_TABLE}),
        ("/data", {"ref": "staging", "sql": "SELECT '<script>alert(9)</script>' AS \"<script>alert(10)</script>\""}),
        ("/data", {"ref": '"><script>alert(12)</script>'}),
        ("/", {"said": "<script>alert(11)</script>"}),
        ("/conflicts", {"into": "<script>alert(13)</script>"}),
        ("/row", {"table": HOSTILE_TABLE, "key": "<script>alert(14)</script>"}),
    ]
    for address, asked in addresses:
        text = client.get(address, params=asked).text
        elements = Reader(text).elements
        scripts = [attributes for tag, attributes in elements if tag == "script"]
        assert scripts == [{"src": "/static/epoch.js", "type": "module"}] or address == "/promotion/patterns"
        assert not [tag for tag, _ in elements if tag in ("img", "iframe", "object", "base")], address
        assert not [name for _, attributes in elements for name in attributes if name.startswith("on")], address
        assert not [a for _, a in elements if "style" in a or str(a.get("href", "")).startswith("javascript")], address
        assert "\u202e" not in text
        assert "x" * 500 not in text
    long = client.get("/data", params={"ref": "staging", "sql": "SELECT repeat('y', 3_000_000) AS a, 1 AS a"}).text
    assert "y" * 400 in long and "y" * 401 not in long and ">1<" in long
    assert "{{7*7}}" in client.get("/data", params={"ref": "production", "table": HOSTILE_TABLE}).text
