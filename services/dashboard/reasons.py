"""Why a frame has no estimate, as a sentence with what to do."""

SENTENCES = {
    "saturated": "too many pixels are white: lower the exposure or the light",
    "out_of_focus": "out of focus: refocus; if many frames are, look at the autofocus",
    "not_understood": "the network cannot read this picture; fine-tune it on fields like it",
    "debris": "debris covers too much of the ground; wash, or look at the culture",
    "empty": "no cells were found: the field is empty, or looks unlike any that the network knows",
    "merged": "too many cells are likely several in one; look at the outlines",
    "quality": "the picture did not pass its quality check",
    "too_few_cells": "too few cells in this field to say anything",
    "missing_features": "a feature that the model needs could not be measured on these cells",
    "outside_training_range": "the cells look unlike those that the model was trained on",
    "not_assessable": "this frame could not be assessed",
}
CONDITIONS = {
    "unknown": "{} is not given in the sample list, and the model needs it",
    "not_trained": "the model was not trained for this {}; use one that was",
}


def sentence_of(reason: str) -> str:
    """Return a reason's sentence; the code in words where none is known.

    >>> sentence_of("stimulation_unknown")
    'stimulation is not given in the sample list, and the model needs it'
    """
    if reason in SENTENCES:
        return SENTENCES[reason]
    for ending, words in CONDITIONS.items():
        if reason.endswith(f"_{ending}"):
            return words.format(reason.removesuffix(f"_{ending}").replace("_", " "))
    return reason.replace("_", " ")
