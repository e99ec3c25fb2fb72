"""Configuration of Sphinx: pages in MyST Markdown, reference from the docstrings. Build with `make docs`."""

project = "jaxgen"
author = "The jaxgen authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"

# Docstrings are read as plain text first: a single pair of backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # The signature has names and defaults; Args have shapes and units.
napoleon_use_rtype = False
napoleon_use_ivar = True  # Fields of a NamedTuple are documented as members already.
napoleon_attr_annotations = False
napoleon_custom_sections = ["Returns", "Reference"]  # As text, so that a colon does not end the name of a type.
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"  # Notebooks are committed with their outputs.


def setup(app):
    """Skip the generated docstrings of the fields of a NamedTuple: the docstring of the class describes them."""
    app.connect("autodoc-skip-member", lambda *event: type(event[3]).__name__ == "_tuplegetter" or None)
