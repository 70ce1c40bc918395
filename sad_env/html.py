"""HTML pages of all programs: one jinja2 environment, one page frame, one style sheet, one set of SVG charts."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import sad_env
from sad_env.safe_text import one_line, visible


def environment(package: str) -> Environment:
    """The environment for the templates of a package, which may extend `page.html.j2` and import `charts.html.j2`.

    All that is inserted is escaped, and a name without a value raises. Templates have the functions `shown` (a text on
    one line) and `text` (line breaks kept), both with controls made visible, and `version` of sad-env.

    Args:
        package: dotted name of the package whose folder holds the templates.
    """
    loader = ChoiceLoader([PackageLoader(package, "."), PackageLoader("sad_env", "templates")])
    result = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, auto_reload=False)
    style = loader.get_source(result, "style.css")[0]
    result.globals.update(shown=one_line, text=visible, version=sad_env.__version__, style=Markup(style))
    return result
