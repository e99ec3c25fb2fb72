"""How Sphinx builds the documentation: pages in MyST Markdown, the reference from the docstrings. `make docs`."""

project = "jaxgen"
author = "The jaxgen authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"

# Docstrings are read as text first: one pair of backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # The signature has names and defaults; Args have shapes and units.
napoleon_use_rtype = False
napoleon_use_ivar = True  # Fields of a NamedTuple are members already.
napoleon_attr_annotations = False
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"  # Notebooks are committed with their outputs.
