"""Doctor: one command that says whether this machine can run cellvigil, and how to mend what is in the way.

Nothing is changed. Heavy or fragile libraries are asked in processes of their own, so that one that hangs or crashes
is a line of the report and not the end of it.
"""
