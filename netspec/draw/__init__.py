"""Nets as pictures: Net → DOT text → SVG, PNG, PDF or JPG."""
