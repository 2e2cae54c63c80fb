"""`cellvigil assay`: later results of the laboratory beside the estimates that foretold them, and what follows."""
