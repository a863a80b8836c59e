"""The contract's meanings, one by one, in small worlds with the expected rows written out."""

from __future__ import annotations

import psycopg
import pytest

from opsgenie_provider.warehouse.connection import Warehouse
from opsgenie_provider.warehouse.schema import upgrade
from tests.dora.dora_checkout import HOUR, MICROSECOND, NOON, Checkout
from tests.dora.dora_world import Rules


@pytest.mark.parametrize(
    ("hours", "shift", "matches"),
    [(-4, 0, True), (-4, -1, False), (4, 0, True), (4, 1, False), (0, 0, True)],
)
def test_both_ends_of_the_window_belong_to_it(world: Checkout, hours: int, shift: int, matches: bool) -> None:
    world.incident()
    world.deployment("d", NOON + hours * HOUR + shift * MICROSECOND)
    world.refresh()
    expected = ("matched", "d", -hours, 1) if matches else ("no_deployment_in_window", None, None, 0)
    assert world.attribution() == expected


def test_a_tie_goes_to_the_deployment_before(world: Checkout) -> None:
    world.incident()
    world.deployment("after", NOON + HOUR)
    world.deployment("before", NOON - HOUR)
    world.deployment("far", NOON - 2 * HOUR)
    world.refresh()
    assert world.attribution() == ("matched", "before", 1, 3)


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_of_two_at_one_instant_the_smaller_key_by_bytes(world: Checkout, hours: int) -> None:
    world.incident()
    world.deployment("b", NOON + hours * HOUR, source="github")
    world.deployment("a", NOON + hours * HOUR, source="manual")
    world.deployment("Z", NOON + hours * HOUR, source="github")
    world.refresh()
    assert world.attribution()[1:] == ("Z", -hours, 3)


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2)])
def test_a_moved_deployment_reaches_as_far_as_the_window_on_each_side(
    world: Checkout, before: int, after: int
) -> None:
    rules = Rules(before * HOUR, after * HOUR)
    world.incident()
    for hours in (-before - 1, -before, after, after + 1):
        world.deployment("d", NOON - 10 * HOUR)
        world.refresh(rules)
        world.deployment("d", NOON + hours * HOUR)
        world.refresh(rules)
        assert world.attribution()[0] == (
            "matched" if -before <= hours <= after else "no_deployment_in_window"
        )


@pytest.mark.parametrize(
    ("column", "value"), [("status", "failure"), ("environment", "staging"), ("service", "search")]
)
def test_only_eligible_deployments_of_the_service_count(world: Checkout, column: str, value: str) -> None:
    world.incident()
    world.deployment("near", NOON, **{column: value})
    world.deployment("far", NOON - 3 * HOUR)
    world.refresh()
    assert world.attribution() == ("matched", "far", 3, 1)


def test_names_are_compared_without_case_and_outer_blanks(world: Checkout) -> None:
    world.incident()
    world.deployment("d", NOON, service="  CHECKOUT", environment="PROD")
    world.refresh()
    assert world.attribution() == ("matched", "d", 0, 1)


def test_outer_white_space_of_any_kind_is_no_part_of_a_name(world: Checkout) -> None:
    world.incident()
    names = ["\tCheckout", "checkout\r\n", "\u00a0checkout\u202f", "\u3000CHECKOUT\u2028"]
    for number, name in enumerate(names):
        world.deployment(f"d{number}", NOON, service=name)
    world.refresh()
    assert world.attribution() == ("matched", "d0", 0, len(names))


def test_names_are_in_lower_case_whatever_the_locale(world: Checkout, postgres: str) -> None:
    assert world.one("select dora.service_key('ÜBER-ЖÉ')") == ("über-жé",)
    assert world.connection is not None
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("drop database if exists dora_c")
        admin.execute("create database dora_c template template0 encoding 'UTF8' locale 'C'")
        try:
            upgrade(Warehouse(lambda: psycopg.connect(postgres, dbname="dora_c"), "C"))
            with psycopg.connect(postgres, dbname="dora_c") as connection:
                in_c = Checkout(connection)
                in_c.deployment("d", NOON, service="SÜK")
                in_c.put("staging.opsgenie_services", account="us", service_id="other", name="sük")
                in_c.incident(services=("other",))
                in_c.refresh()
                assert in_c.attribution(service="sük") == ("matched", "d", 0, 1)
        finally:
            admin.execute("drop database dora_c with (force)")


def test_a_repository_may_have_environments_of_its_own(world: Checkout) -> None:
    rules = Rules(repositories=(("Example/App", ("Live",)), ("example/app", ("Blue",)), ("example/site", ())))
    for number, (repository, environment) in enumerate(
        [
            ("example/app", "live"),
            ("EXAMPLE/APP", "BLUE"),
            ("example/app", "production"),
            ("example/site", "production"),
            ("example/site", "live"),
            (None, "live"),
            (None, "Prod"),
        ]
    ):
        world.deployment(str(number), NOON, repository=repository, environment=environment)
    world.refresh(rules)
    query = "select array_agg(deployment_id order by deployment_id) from dora.deployment_outcomes"
    assert world.one(query) == (["0", "1", "3", "6"],)
    assert world.refresh().reason == "a setting changed"
    assert world.one(query) == (["2", "3", "6"],)


def test_the_latest_override_wins_however_it_spells_the_service(world: Checkout) -> None:
    world.put("staging.opsgenie_services", account="us", service_id="svc", name="Ünit")
    world.incident()
    world.incident("by-id", services=("GONE",))
    for name in ("a", "b", "c"):
        world.deployment(name, NOON - 50 * HOUR)
    named = {"source": "opsgenie", "account": "us", "deployment_source": "github"}
    world.put(
        "dora.attribution_overrides",
        **named,
        incident_id="i",
        service=" ÜNIT\u00a0",
        deployment_id="a",
        decided_at=NOON,
    )
    world.put("dora.attribution_overrides", **named, incident_id="by-id", service="gone", deployment_id="c")
    world.refresh()
    assert world.attribution(service="ünit") == ("overridden", "a", 50, 0)
    assert world.attribution("by-id", service="GONE") == ("overridden", "c", 50, 0)
    world.put(
        "dora.attribution_overrides",
        **named,
        incident_id="i",
        service="ünit",
        deployment_id="b",
        reason="later",
        decided_at=NOON + HOUR,
    )
    assert world.one("select reason from dora.effective_overrides where incident_id = 'i'") == ("later",)
    world.refresh()
    assert world.attribution(service="ünit") == ("overridden", "b", 50, 0)


def test_what_follows_a_deployment_is_told_from_what_precedes_it(world: Checkout) -> None:
    for number in range(10):
        opened = NOON + number * 100 * HOUR
        world.incident(f"i{number}", opened)
        world.deployment(f"d{number}", opened + (HOUR if number < 2 else -HOUR))
    query = "select matched_following, matched_preceding, caused_share, caused_share_low, caused_share_high from dora.match_quality"
    world.refresh()
    following, preceding, *shares = world.one(query)
    assert (following, preceding) == (8, 2)
    # The Wilson interval of 8 of 10 at 90 % is 0.5408 to 0.9313.
    assert shares == pytest.approx([0.6, 0.0816, 0.8627], abs=2e-4)
    world.refresh(Rules(after=2 * HOUR))
    assert world.one(query) == (8, 2, None, None, None)


def test_before_only_does_not_look_ahead(world: Checkout) -> None:
    world.incident()
    world.deployment("after", NOON + MICROSECOND)
    world.refresh()
    assert world.attribution()[1] == "after"
    assert world.refresh(Rules(direction="before_only")).reason == "a setting changed"
    assert world.attribution() == ("no_deployment_in_window", None, None, 0)
    world.deployment("at", NOON)
    world.refresh(Rules(direction="before_only"))
    assert world.attribution() == ("matched", "at", 0, 1)


def test_an_incident_of_several_services_counts_for_each_and_once_overall(world: Checkout) -> None:
    world.put("staging.opsgenie_services", account="us", service_id="other", name="search")
    # The same service under a second id, one that is not listed, and one that no deployment has.
    world.put("staging.opsgenie_services", account="us", service_id="twin", name="CHECKOUT")
    world.put("staging.opsgenie_services", account="us", service_id="idle", name="idle")
    world.incident(
        services=("svc", "twin", "other", "gone-id", "idle"), status="resolved", resolved_at=NOON + HOUR
    )
    world.deployment("c", NOON - HOUR)
    world.deployment("s", NOON - 9 * HOUR, service="search")
    world.put("dora.service_map", account="us", service_id="idle", service="Mapped")
    world.refresh()
    assert world.attribution(service="checkout")[0] == "matched"
    assert world.attribution(service="search")[0] == "no_deployment_in_window"
    assert world.attribution(service="gone-id")[0] == "service_unmapped"
    # It has a row in service_map: it is mapped, to a service that is not deployed.
    assert world.attribution(service="mapped")[0] == "no_deployment_in_window"
    assert world.one("select count(*), sum(incidents) from dora.service_metrics where grain = 'week'") == (
        4,
        4,
    )
    assert world.one(
        "select incidents, mttr_mean_seconds, mttr_all_mean_seconds from dora.overall_metrics where grain = 'day'"
    ) == (1, 3600, 3600)


def test_without_a_service(world: Checkout) -> None:
    world.incident(services=())
    world.deployment("d", NOON, service=" ")
    world.refresh()
    assert world.attribution(service="") == ("no_service", None, None, 0)
    assert world.one("select count(*) from dora.service_metrics") == (0,)
    assert world.one("select incidents, deployments from dora.overall_metrics where grain = 'day'") == (1, 1)


@pytest.mark.parametrize(
    ("status", "recovered_hours"), [("open", None), ("acked", None), ("resolved", 2), ("closed", 2)]
)
def test_a_reopened_incident_has_not_recovered(
    world: Checkout, status: str, recovered_hours: int | None
) -> None:
    world.incident(status=status, resolved_at=NOON + 2 * HOUR, closed_at=NOON + 3 * HOUR)
    world.refresh()
    seconds = recovered_hours and recovered_hours * 3600
    assert world.one("select seconds_to_recover, status = 'open' from dora.incidents") == (
        seconds,
        not seconds,
    )
    assert world.one(
        "select open_incidents, mttr_all_mean_seconds from dora.overall_metrics where grain = 'day'"
    ) == (
        int(not seconds),
        seconds,
    )


def test_a_negative_duration_is_unknown_but_it_did_recover(world: Checkout) -> None:
    world.incident(status="closed", closed_at=NOON - HOUR)
    world.refresh()
    assert world.one(
        "select recovered_incidents, open_incidents, mttr_all_mean_seconds, mttr_all_median_seconds "
        "from dora.overall_metrics where grain = 'month'"
    ) == (1, 0, None, None)


def test_a_deleted_incident_leaves(world: Checkout) -> None:
    world.incident(status="resolved", resolved_at=NOON + HOUR)
    world.deployment("d", NOON)
    world.refresh()
    assert world.one("select incident_count, mttr_seconds from dora.deployment_outcomes") == (1, 3600)
    world.incident(deleted_at=NOON)
    world.refresh()
    assert world.one(
        "select incident_count, is_change_failure, mttr_seconds from dora.deployment_outcomes"
    ) == (
        0,
        False,
        None,
    )
    assert world.one("select count(*) from dora.incident_attribution") == (0,)


def test_an_override_wins(world: Checkout) -> None:
    world.put("staging.opsgenie_services", account="us", service_id="other", name="search")
    world.incident(services=("svc", "other"))
    world.deployment("near", NOON)
    world.deployment("failed", NOON - 50 * HOUR, status="failure")
    key = {"source": "opsgenie", "account": "us", "incident_id": "i"}
    world.put(
        "dora.attribution_overrides",
        **key,
        service=" Checkout",
        deployment_source="github",
        deployment_id="failed",
    )
    world.put("dora.attribution_overrides", **key, service="search", reason="The data centre lost power")
    world.put("dora.attribution_overrides", **key, service="elsewhere")
    summary = world.refresh()
    assert world.attribution() == ("overridden", "failed", 50, 1)
    assert world.attribution(service="search") == ("overridden", None, None, 0)
    assert summary.unused_overrides == 1
    assert "1 row(s) of dora.attribution_overrides" in summary.lines()[-1]
    # A deployment that is not eligible has no outcome, and the one that is near is not to blame.
    assert world.one("select count(*), sum(incident_count) from dora.deployment_outcomes") == (1, 0)
    # One that is not known yet, then comes.
    world.put(
        "dora.attribution_overrides", **key, service="search", deployment_source="ci", deployment_id="new"
    )
    world.refresh()
    assert world.attribution(service="search") == ("overridden", "new", None, 0)
    world.deployment("new", NOON - 30 * HOUR, source="ci")
    world.refresh()
    assert world.attribution(service="search") == ("overridden", "new", 30, 0)
    world.drop("dora.attribution_overrides", "opsgenie", "us", "i", " Checkout")
    world.refresh()
    assert world.attribution() == ("matched", "near", 0, 1)


def test_an_incident_that_two_services_blame_one_deployment_for_counts_once(world: Checkout) -> None:
    world.put("staging.opsgenie_services", account="us", service_id="other", name="search")
    world.incident(services=("svc", "other"), status="resolved", resolved_at=NOON + HOUR)
    world.deployment("d", NOON)
    world.put(
        "dora.attribution_overrides", source="opsgenie", account="us", incident_id="i", service="search",
        deployment_source="github", deployment_id="d",
    )  # fmt: skip
    world.refresh()
    assert world.one("select incident_count, mttr_seconds from dora.deployment_outcomes") == (1, 3600)


def test_the_first_deployment_of_a_name_maps_its_service(world: Checkout) -> None:
    world.incident()
    world.refresh()
    assert world.attribution()[0] == "service_unmapped"
    # Nowhere near the incident, and failed.
    world.deployment("d", NOON - 900 * HOUR, status="failure")
    world.refresh()
    assert world.attribution()[0] == "no_deployment_in_window"
    world.drop("staging.deployments", "github", "d")
    world.refresh()
    assert world.attribution()[0] == "service_unmapped"


def test_match_quality_knows_what_chance_does(world: Checkout) -> None:
    world.incident("first", NOON)
    world.incident("last", NOON + 48 * HOUR)
    world.deployment("a", NOON + 12 * HOUR)
    world.deployment("b", NOON + 14 * HOUR)
    world.deployment("c", NOON + 47 * HOUR)
    world.refresh()
    # 10 hours around a and b together, 5 around c as the span ends one hour after it.
    assert world.one("select * from dora.match_quality") == (
        "checkout",
        1.5,
        0.5,
        15 / 48,
        1,
        0,
        1,
        0,
        pytest.approx(1),
    )


def test_match_quality_of_a_service_that_is_deployed_all_day(world: Checkout) -> None:
    # Times the seconds of a day, more deployments than an int can hold.
    assert world.connection is not None
    world.connection.execute(
        "insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at) "
        "select 'github', n::text, 'checkout', 'production', 'success', %s::timestamptz + n * interval '1 minute' "
        "from generate_series(0, 28800) as n",
        (NOON,),
    )
    world.connection.commit()
    world.refresh_only()
    rates = "select deployments_per_day, expected_chance_match_rate from dora.match_quality"
    assert world.one(rates) == (28801 / 20, 1)
