"""The demo: small language models on the project's own text, weighed on documents that they have not seen."""
