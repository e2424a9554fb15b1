"""The documentation as a site: ``nox -s docs``. The pages are plain Markdown, for GitHub, too."""

from __future__ import annotations

import tomllib
from pathlib import Path

HERE = Path(__file__).parent

project = "authhost"
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
version = release
extensions = ["myst_parser", "sphinxcontrib.mermaid", "sphinx_copybutton"]
# README.md is the folder's face on GitHub; index.md brings it into the site.
exclude_patterns = ["_build", "_vendor", "README.md"]

myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"authhost {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = "$ "

mermaid_version = "11.12.1"
mermaid_height = "auto"
mermaid_fullscreen = False
mermaid_light_theme = "neutral"
mermaid_init_config = {
    "startOnLoad": False,
    "flowchart": {"subGraphTitleMargin": {"top": 4, "bottom": 16}},
}
# `nox -s docs` puts mermaid there, so that a reader's browser asks nobody else for it.
if (HERE / "_vendor" / "mermaid").is_dir():
    html_static_path.append("_vendor")
    mermaid_use_local = "mermaid/mermaid.esm.min.mjs"
