"""Where one inference spends its instructions and cycles: by operator, by function, by loop."""
