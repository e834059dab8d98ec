"""The W3C's schema of MusicXML 4.0, as the package ``musicxml`` brings it along."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

_ATTRIBUTES = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{}">
{}</xs:schema>"""
_XML = "http://www.w3.org/XML/1998/namespace", ("lang", "space")
_XLINK = (
    "http://www.w3.org/1999/xlink",
    ("href", "type", "role", "title", "show", "actuate"),
)


class _Resolver(etree.Resolver):  # type: ignore[misc]
    """Gives the two schemas that the file imports from the network; Bachbox uses neither."""

    def resolve(self, url: str, _public_id: str, context: Any) -> Any:
        namespace, names = _XLINK if url.endswith("xlink.xsd") else _XML
        attributes = "".join(f'<xs:attribute name="{name}" type="xs:string"/>' for name in names)
        if not url.endswith(("xlink.xsd", "xml.xsd")):
            return None
        return self.resolve_string(_ATTRIBUTES.format(namespace, attributes), context)


@cache
def _schema() -> Any:
    found = importlib.util.find_spec("musicxml")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "generate_classes" / "musicxml_4_0.xsd"
    parser = etree.XMLParser()
    parser.resolvers.add(_Resolver())
    # No path, so that the imports are not taken from the files beside it.
    return etree.XMLSchema(etree.fromstring(path.read_bytes(), parser))


def errors(path: Path) -> list[str]:
    """What the schema says against a MusicXML file; empty if it is valid."""
    schema = _schema()
    schema.validate(etree.parse(path))
    return [f"line {error.line}: {error.message}" for error in schema.error_log]
