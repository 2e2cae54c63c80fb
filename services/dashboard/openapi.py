"""The interface described after OpenAPI 3.1, made from the table of endpoints and the shapes."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from monitor import __version__
from services.dashboard.content import etag_of
from services.dashboard.endpoint import Endpoint
from services.dashboard.schemas import (
    AlarmsMessage,
    ErrorAnswer,
    EstimateMessage,
    FleetMessage,
    LiveHeartbeat,
    TileMessage,
)

REF = "#/components/schemas/{model}"
LIVE = (FleetMessage, EstimateMessage, TileMessage, AlarmsMessage, LiveHeartbeat)
INTRODUCTION = (
    "Everything that the page shows. Names say their units; moments are ISO 8601 in UTC, times of series are seconds "
    "since 1970. Sign in with the page, or send `Authorization: Bearer TOKEN`; a change that a browser's cookie signs "
    "carries the secret of `GET /api/v1/me` as the header `X-CSRF-Token`. Lists have a `next`, to be sent back as "
    "`cursor`. `/live` is a WebSocket that sends FleetMessage on joining, then EstimateMessage, TileMessage, "
    "AlarmsMessage and, every 15 s, LiveHeartbeat."
)
ERRORS = {
    400: "cannot be understood",
    401: "nobody is known",
    403: "somebody is known, and may not",
    404: "there is no such thing",
    405: "not in this way",
    409: "cannot be done to this thing now",
    413: "too long",
    422: "a value is out of its range",
    429: "too often; Retry-After says how long to wait",
    503: "what it needs is away or busy; ask again",
}
PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
PATH_WORDS = {
    "flask": "Name of a flask.",
    "frame_id": "sha256 of a frame's file, 64 hex digits.",
    "cell": "Number of a cell in its frame, from 1.",
    "channel": "Channel of an alarm, such as potency.",
    "letter": "Name of a dead letter.",
    "file": "Number of a file in quarantine.",
    "name": "Name of a user.",
}


@lru_cache(maxsize=1)
def document(routes: tuple[Endpoint, ...]) -> tuple[bytes, str]:
    """Return the description as JSON, and its ETag."""
    body = json.dumps(described(routes), indent=1).encode()
    return body, etag_of(body)


def described(routes: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the description of those endpoints that are for programs."""
    endpoints = api_endpoints(routes)
    models: set[type[BaseModel]] = {endpoint.answer for endpoint in endpoints if endpoint.answer is not None}
    bodies: set[type[BaseModel]] = {endpoint.params for endpoint in endpoints if endpoint.method == "POST"}
    answers: set[type[BaseModel]] = {*models, ErrorAnswer, *LIVE}
    wanted: list[tuple[type[BaseModel], Any]] = []
    wanted += [(model, "serialization") for model in sorted(answers, key=_name)]
    wanted += [(model, "validation") for model in sorted(bodies, key=_name)]
    names, schemas = models_json_schema(wanted, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        references = {model: names[model, mode] for model, mode in wanted}
        paths.setdefault(_path(endpoint), {})[endpoint.method.lower()] = _operation(endpoint, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "cellvigil", "version": __version__, "description": INTRODUCTION},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "cellvigil_session"},
            },
        },
    }


def reference(routes: Iterable[Endpoint]) -> list[dict[str, Any]]:
    """Return every path for people: method, path, role, summary, parameters and fields of the answer."""
    endpoints = api_endpoints(routes)
    whole = described(endpoints)
    schemas = whole["components"]["schemas"]
    return [
        {
            "method": endpoint.method,
            "path": _path(endpoint),
            "role": endpoint.role.value if endpoint.role else "everybody",
            "summary": endpoint.summary,
            "parameters": _parameters(endpoint),
            "body": _fields(endpoint.params.__name__, schemas) if endpoint.method == "POST" else [],
            "answer": endpoint.answer.__name__ if endpoint.answer else endpoint.media,
            "answer_words": (endpoint.answer.__doc__ or "") if endpoint.answer else "",
            "fields": _fields(endpoint.answer.__name__, schemas) if endpoint.answer else [],
        }
        for endpoint in endpoints
    ]


def api_endpoints(routes: Iterable[Endpoint]) -> list[Endpoint]:
    """Return the endpoints for programs."""
    return [endpoint for endpoint in routes if endpoint.kind == "api"]


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _path(endpoint: Endpoint) -> str:
    return PARAMETER.sub(r"{\1}", endpoint.path)


def _operation(endpoint: Endpoint, references: dict[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"type": "string"}}
    if endpoint.answer is not None:
        content = {"schema": references[endpoint.answer]}
    told = {"application/json": {"schema": references[ErrorAnswer]}}
    answers = {"200": {"description": "as asked", "content": {endpoint.media: content}}}
    answers |= {str(status): {"description": words, "content": told} for status, words in ERRORS.items()}
    if endpoint.method == "GET":
        answers["304"] = {"description": "as the browser has it"}
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": f"Needs the role {endpoint.role}." if endpoint.role else "Needs no role.",
        "parameters": _parameters(endpoint),
        "responses": answers,
        "security": [{"token": []}, {"session": []}] if endpoint.role else [],
    }
    if endpoint.method == "POST":
        schema = references[endpoint.params]
        operation["requestBody"] = {"required": False, "content": {"application/json": {"schema": schema}}}
        required = any(field.is_required() for field in endpoint.params.model_fields.values())
        operation["requestBody"]["required"] = required
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_WORDS.get(name, ""),
            "schema": {"type": "integer", "minimum": 0} if kind == "int" else {"type": "string", "minLength": 1},
        }
        for name, kind in PARAMETER.findall(endpoint.path)
    ]
    if endpoint.method != "GET":
        return found
    schema = endpoint.params.model_json_schema(ref_template=REF)
    definitions = schema.get("$defs", {})
    for name, told in schema.get("properties", {}).items():
        plain = _without_null({**told, **_resolved(told, definitions)})
        required = name in schema.get("required", ())
        found.append(
            {"name": name, "in": "query", "required": required, "schema": plain, "description": _says(endpoint)}
        )
    return found


def _resolved(told: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a property with the enumerations that it refers to written out."""
    if "anyOf" in told:
        return {"anyOf": [{**option, **_target(option, definitions)} for option in told["anyOf"]]}
    return _target(told, definitions)


def _target(told: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    name = str(told.get("$ref", "")).rpartition("/")[2]
    found: dict[str, Any] = definitions.get(name, {})
    return {"$ref": None, **found} if found else {}


def _without_null(told: dict[str, Any]) -> dict[str, Any]:
    """Return a query's schema: what is not said is left out, never null."""
    options = [option for option in told.pop("anyOf", []) if option.get("type") != "null"]
    told.pop("default", None) if told.get("default") is None else None
    for option in options[:1]:
        told = {**told, **option}
    return {name: value for name, value in told.items() if name not in ("title", "$ref")}


def _says(endpoint: Endpoint) -> str:
    return (endpoint.params.__doc__ or "").strip()


def _fields(name: str, schemas: dict[str, Any]) -> list[dict[str, str]]:
    told = schemas.get(name, {})
    required = told.get("required", ())
    return [
        {"name": field, "type": _type(schema), "required": "yes" if field in required else "no"}
        for field, schema in told.get("properties", {}).items()
    ]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(option) for option in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and "additionalProperties" in schema:
        inner = schema["additionalProperties"]
        return f"by name: {_type(inner) if isinstance(inner, dict) else 'anything'}"
    return str(schema.get("type") or schema.get("const") or "anything")
