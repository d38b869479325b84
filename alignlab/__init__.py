"""alignlab: a course workbook on aligning language models, with everything it measures."""

__version__ = "0.1.0"
