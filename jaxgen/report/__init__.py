"""The report of a run: figures and metrics in one folder, with an HTML file that shows them.

Each section of the report is a function in a module of its own; `SECTIONS` lists them. A section that does not
apply to a run raises `NotApplicable`, and the report gives the reason. A section of the user is a function
`(inputs) -> Section` in the argument `sections` of `write_report`.
"""

from jaxgen.report.contents import FAILED, SECTIONS, Report, write_report
from jaxgen.report.section import FigureFile, NotApplicable, ReportInput, Section

__all__ = ["FAILED", "SECTIONS", "FigureFile", "NotApplicable", "Report", "ReportInput", "Section", "write_report"]
