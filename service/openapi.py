"""An OpenAPI 3.1 document as the docs page shows it: operations with their parts, references gone.

What stands beside a text as ``x-…-zh`` is its Chinese. Only references within the document are
followed, each once on a way, so that one that leads back to itself ends.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ledger.errors import MalformedError
from ledger.proof.verdict import Language

Node: TypeAlias = Mapping[str, Any]  # Any: JSON

SAID = ("title", "description")
"""What in a schema is for people."""

METHODS = ("get", "head", "put", "post", "patch", "delete", "options", "trace")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a header of an answer."""

    name: str
    place: str
    kind: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """A body of one media type; ``schema``: as indented JSON, empty if none is given."""

    media_type: str
    schema: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, by its status."""

    status: str
    text: str
    headers: tuple[Field, ...]
    bodies: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``anchor``: its name within the page."""

    anchor: str
    method: str
    path: str
    summary: str
    text: str
    secured: bool
    fields: tuple[Field, ...]
    bodies: tuple[Body, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The whole, in the order of the file."""

    title: str
    version: str
    text: str
    operations: tuple[Operation, ...]


def read_openapi(root: Node, language: Language) -> Document:
    """What ``root`` says, in ``language`` where it says it; MalformedError if it is not OpenAPI."""
    try:
        if not str(root["openapi"]).startswith("3.1."):
            raise MalformedError(f"openapi is {root['openapi']!r}, want 3.1")
        reader = _Reader(root, language)
        info = root["info"]
        operations = [
            reader.operation(path, method, item)
            for path, item in root["paths"].items()
            for method in METHODS
            if method in item
        ]
        return Document(
            reader.said(info, "title"),
            str(info["version"]),
            reader.said(info, "description"),
            tuple(operations),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedError(f"not an OpenAPI document: {error!r}") from error


@dataclass(frozen=True, slots=True)
class _Reader:
    root: Node
    language: Language

    def said(self, node: Node, key: str) -> str:
        """The text at ``key``, in Chinese if that is asked for and there."""
        chinese = node.get(f"x-{key}-zh") if self.language == "zh" else None
        return str(chinese or node.get(key, "")).strip()

    def operation(self, path: str, method: str, item: Node) -> Operation:
        node = item[method]
        fields = [*item.get("parameters", ()), *node.get("parameters", ())]
        body = self.follow(node.get("requestBody", {}))
        slug = "".join(c if c.isalnum() else "-" for c in path).strip("-")
        return Operation(
            anchor=f"{method}-{slug}" if slug else method,
            method=method.upper(),
            path=path,
            summary=self.said(node, "summary"),
            text=self.said(node, "description"),
            secured=bool(node.get("security", self.root.get("security"))),
            fields=tuple(self.field(self.follow(one)) for one in fields),
            bodies=self.bodies(body),
            answers=tuple(
                self.answer(str(status), self.follow(one))
                for status, one in node["responses"].items()
            ),
        )

    def field(self, node: Node) -> Field:
        return Field(
            name=str(node["name"]),
            place=str(node["in"]),
            kind=self.kind(node.get("schema", {})),
            required=bool(node.get("required", False)),
            text=self.said(node, "description"),
        )

    def answer(self, status: str, node: Node) -> Answer:
        headers = {name: self.follow(one) for name, one in node.get("headers", {}).items()}
        return Answer(
            status=status,
            text=self.said(node, "description"),
            headers=tuple(
                self.field({"name": name, "in": "header", **one}) for name, one in headers.items()
            ),
            bodies=self.bodies(node),
        )

    def bodies(self, node: Node) -> tuple[Body, ...]:
        made = []
        for media_type, one in node.get("content", {}).items():
            schema = self.plain(one.get("schema", {}), ())
            text = json.dumps(schema, ensure_ascii=False, indent=2) if schema else ""
            made.append(Body(str(media_type), text))
        return tuple(made)

    def kind(self, node: Node) -> str:
        """A schema in a few words, for a table."""
        schema = self.follow(node)
        kind = schema.get("type", "")
        words = [" | ".join(map(str, kind)) if isinstance(kind, list) else str(kind)]
        if "format" in schema:
            words.append(f"({schema['format']})")
        words += [f"{key} {schema[key]}" for key in ("minimum", "maximum") if key in schema]
        return " ".join(word for word in words if word)

    def follow(self, node: Node) -> Node:
        """``node``, or what it refers to within the document."""
        seen: list[str] = []
        while "$ref" in node:
            reference = str(node["$ref"])
            if reference in seen or not reference.startswith("#/"):
                raise MalformedError(f"the reference {reference!r} leads nowhere")
            seen.append(reference)
            node = self.root
            for step in reference[2:].split("/"):
                node = node[step.replace("~1", "/").replace("~0", "~")]
        return node

    def plain(self, node: object, way: Sequence[str]) -> object:
        """``node`` with what it refers to in its place; one that is within itself stays named."""
        if isinstance(node, Mapping):
            reference = node.get("$ref")
            if reference in way:
                return {"$ref": reference}
            if isinstance(reference, str):
                return self.plain(self.follow(node), (*way, reference))
            return {
                str(key): self.said(node, key) if _is_said(key, value) else self.plain(value, way)
                for key, value in node.items()
                if not str(key).startswith("x-")
            }
        if isinstance(node, list | tuple):
            return [self.plain(each, way) for each in node]
        return node


def _is_said(key: object, value: object) -> bool:
    """Whether it is a text for people, and not a property that has such a name."""
    return key in SAID and isinstance(value, str)
