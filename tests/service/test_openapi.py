"""The service is what its OpenAPI file says: asked what the file allows, and much it does not."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from schemathesis.specs.openapi.checks import positive_data_acceptance

from ledger.operator.grant import ADMIN, APPEND
from service.app import read_openapi_file
from service.openapi import read_openapi
from tests.hosting import entries
from tests.service.conftest import Service

METHODS = {"get", "post"}


def test_every_address_of_the_interface_is_described_and_no_other(service: Service) -> None:
    rules = {
        rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}")
        for rule in service.client.application.url_map.iter_rules()
        if not rule.endpoint.startswith("pages.")
    }
    assert set(read_openapi_file()["paths"]) == rules


def test_it_is_said_in_both_languages_throughout() -> None:
    for language in ("en", "zh"):
        document = read_openapi(read_openapi_file(), language)
        texts = [document.text, *(one.summary for one in document.operations)]
        texts += [answer.text for one in document.operations for answer in one.answers]
        texts += [field.text for one in document.operations for field in one.fields]
        assert all(texts)
        assert all((max(text) > "\u2e80") == (language == "zh") for text in texts)


# What JSON Schema cannot say: a body is entries of 64 bytes one after another.
schemathesis.openapi.media_type(
    "application/octet-stream",
    strategies.integers(1, 20).flatmap(
        lambda n: strategies.binary(min_size=64 * n, max_size=64 * n)
    ),
)

NOT_SAID_IN_SCHEMAS = {"/v1/consistency"}
"""Of two sizes the first is the smaller: such a request may be refused although each part of it is
as described."""


def ask(service: Service, path: str, method: str, count: int) -> None:
    """Have schemathesis ask one operation; it raises for what is not as described."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", service.client.application)
    given_token = {"Authorization": f"Bearer {service.new_token(APPEND, ADMIN)}"}
    excluded = [positive_data_acceptance] if path in NOT_SAID_IN_SCHEMAS else []

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy())
    def each(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=given_token, excluded_checks=excluded)

    each()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path, item in read_openapi_file()["paths"].items()
        for method in METHODS
        if method in item and path != "/tile/{path}"  # its slashes are not tried: see test_log
    ],
)
def test_schemathesis_finds_nothing(service: Service, path: str, method: str) -> None:
    service.post(b"".join(entries(300)))
    service.hosted.schedule.round()
    ask(service, path, method, 100)
