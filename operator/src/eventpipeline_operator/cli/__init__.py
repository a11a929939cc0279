"""The command line: thin commands over the operator's pure core, one module each."""
