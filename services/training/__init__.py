"""`cellvigil train segmenter`: labelled, stained, unlabelled and simulated images into weights with a card."""
