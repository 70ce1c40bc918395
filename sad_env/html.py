"""HTML pages of all programs: one jinja2 environment, one page frame, one style sheet, one set of SVG charts."""

from __future__ import annotations

import base64
import hashlib

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import sad_env
from sad_env.safe_text import one_line, visible


def environment(package: str) -> Environment:
    """The environment for the templates of a package, which may extend `page.html.j2` and import `charts.html.j2`.

    All that is inserted is escaped, and a name without a value raises. Templates have the functions `shown` (a text on
    one line) and `text` (line breaks kept), both with controls made visible, and `version` of sad-env. The few pages
    with a script have `script`, the source of a file beside the templates, and `allowed`, which permits that source
    and no other in the page's block `policy`.

    Args:
        package: dotted name of the package whose folder holds the templates.
    """
    loader = ChoiceLoader([PackageLoader(package, "."), PackageLoader("sad_env", "templates")])
    result = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, auto_reload=False)
    style = loader.get_source(result, "style.css")[0]

    def script(name: str) -> Markup:
        return Markup(loader.get_source(result, name)[0])

    def allowed(name: str) -> str:
        digest = hashlib.sha256(script(name).encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    result.globals.update(
        script=script,
        allowed=allowed,
        shown=one_line,
        text=visible,
        version=sad_env.__version__,
        style=Markup(style),
    )
    return result
