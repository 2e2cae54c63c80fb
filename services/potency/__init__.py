"""`cellvigil train potency` and `cellvigil predict`: tables and assay results into models, and models into answers."""
