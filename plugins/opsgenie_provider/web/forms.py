"""What the forms of the page that write have in common: who may send them, and that nobody else's page does.

Who may run dora_metrics may decide. Airflow's cookie is sent along with a form of any site that gets the
browser to post it, so a form carries a token that only our page has (OWASP, Cross-Site Request Forgery
Prevention: signed double submit), signed with Airflow's own secret for this user and what the form is about.
"""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.configuration import conf
from fastapi import Depends, HTTPException
from itsdangerous import BadSignature, URLSafeTimedSerializer

MAY_RUN = Depends(
    requires_access_dag(method="POST", access_entity=DagAccessEntity.RUN, param_dag_id="dora_metrics")
)
# The paths that take forms.
PATHS = ("/override", "/service-map")
# A form that was open over lunch is still good, one of yesterday is not.
TOKEN_SECONDS = 8 * 3600


def token(about: tuple[str, ...], user_id: str) -> str:
    """The token of a form.

    :param about: which form it is, and the key of what it decides.
    """
    return _serializer(about).dumps(user_id)


def check_token(given: str, about: tuple[str, ...], user_id: str) -> None:
    """Refuse a form that this user did not get from us, or got too long ago.

    :raises HTTPException: 403.
    """
    try:
        signed_for = _serializer(about).loads(given, max_age=TOKEN_SECONDS)
    except BadSignature:
        signed_for = None
    if signed_for != user_id:
        raise HTTPException(
            403, "The form has expired or belongs to another user. Open it again and resend it."
        )


def _serializer(about: tuple[str, ...]) -> URLSafeTimedSerializer:
    secret = conf.get_mandatory_value("api", "secret_key")
    return URLSafeTimedSerializer(secret, salt="\0".join((f"opsgenie_provider.{about[0]}", *about[1:])))
