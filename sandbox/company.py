"""The fictional company of the demo: its teams, people and services, and titles of outages and changes."""

from __future__ import annotations

#: team -> its services
SERVICES = {
    "Payments": ("payments-api", "ledger"),
    "Storefront": ("checkout", "web-frontend", "search"),
    "Platform": ("auth", "notifications"),
    "Data": ("recommendations",),
}

#: (team, service) that was removed from the catalogue; incidents still refer to it.
DELETED_SERVICE = ("Payments", "legacy-billing")

#: team -> (full name, time zone)
PEOPLE = {
    "Payments": (
        ("Ada Okafor", "America/New_York"),
        ("Miguel Santos", "America/New_York"),
        ("Priya Raman", "America/Chicago"),
        ("Tom Becker", "America/New_York"),
    ),
    "Storefront": (
        ("Zoë Müller", "Europe/Berlin"),
        ("Łukasz Nowak", "Europe/Warsaw"),
        ("Chloé Lefèvre", "Europe/Paris"),
        ("Jonas Weber", "Europe/Berlin"),
    ),
    "Platform": (
        ("Ngozi Eze", "Africa/Lagos"),
        ("Anil Kapoor", "Asia/Kolkata"),
        ("Sora Tanaka", "Asia/Tokyo"),
    ),
    "Data": (
        ("Freya Lindqvist", "Europe/London"),
        ("Omar Haddad", "Europe/London"),
        ("Wei Chen", "Asia/Singapore"),
    ),
}

OWNER = "acme"

#: service -> repository, where its name differs from the service's.
REPOSITORIES = {"web-frontend": "storefront-web"}

TITLES = (
    "Elevated 5xx rate on {service}",
    "{service}: p99 latency above 2 s",
    "{service} pods restarting in a loop",
    "Error budget burn on {service}",
    "{service} cannot reach its database",
    "Queue of {service} keeps growing",
    "Memory of {service} close to the limit",
    "TLS certificate problem on {service}",
    "{service}: timeouts from a dependency",
    "Customers report errors in {service}",
)

#: Titles with characters that are easily mishandled.
ODD_TITLES = (
    "🔥 {service} brennt – Zahlungen schlagen fehl",
    "決済エラー: {service} タイムアウト",
    "<script>alert('{service}')</script> in error page",
    "Quotes \"double\", 'single' and \\ backslash in {service}",
    "{service}: naïve café façade — ½ of requests fail 🧯",
)

CHANGES = (
    "Retry idempotent calls once",
    "Move session store to Redis 7",
    "Raise connection pool to 50",
    "Drop unused column",
    "Cache catalogue lookups",
    "Upgrade HTTP client",
    "New rounding for taxes",
    "Switch feature flag provider",
    "Add index on orders (created_at)",
    "Batch outgoing events",
)


def username(full_name: str) -> str:
    """ada.okafor@example.com"""
    plain = {"ë": "e", "ü": "u", "Ł": "L", "é": "e", "è": "e"}
    return "".join(plain.get(char, char) for char in full_name).lower().replace(" ", ".") + "@example.com"
