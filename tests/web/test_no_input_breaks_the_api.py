"""Requests made from the API's own OpenAPI document, legal and illegal ones: the answer is always what the document says."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.web.plant import Plant
from twin_app.web.problems import CONTENT_TYPE

FUZZED = "Fuzzed"
EXAMPLES = 10
"""Of each operation, legal and illegal ones each."""
ENDLESS = "/api/twins/{twin}/stream"


def check(case: Any) -> None:
    answer = case.call(timeout=30)
    assert answer.status_code < 500, (case.as_curl_command(), answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == [CONTENT_TYPE], case.as_curl_command()
        problem = answer.json()
        assert problem["code"]
        assert problem["status"] == answer.status_code
    # Left out: values that are legal one by one may be impossible together, and are refused with 422.
    case.validate_response(answer, excluded_checks=[positive_data_acceptance])


def test_every_answer_is_one_that_the_document_names(plant: Plant) -> None:
    plant.register({"twin": FUZZED, "resources": {"a": {}}})
    schema = schemathesis.openapi.from_url(f"{plant.urls[0]}/api/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == ENDLESS:
            continue
        legal = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        try:
            illegal = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        except schemathesis.errors.SchemathesisError:
            illegal = legal  # nothing can be sent wrongly

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(legal, illegal), known=st.booleans())
        def runs(case: Any, known: bool) -> None:
            nonlocal tried
            tried += 1
            if known and "twin" in case.path_parameters:
                case.path_parameters["twin"] = FUZZED
            check(case)

        runs()
    assert tried >= EXAMPLES * 8


def test_the_document_is_one_and_the_same_on_every_worker(plant: Plant) -> None:
    first, second = (plant.get("/api/openapi.json", worker=worker) for worker in (0, 1))
    assert first == second
    assert first["openapi"] == "3.1.0"
    assert {"/api/twins", "/api/twins/{twin}/commands", "/api/twins/{twin}/forecast"} <= first["paths"].keys()
