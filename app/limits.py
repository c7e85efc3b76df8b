"""What must be known beside any figure or explanation, in sentences: pages, files and reports share them."""

DOES_NOT_SHOW = (
    "What a person feels. The model names the emotion that an utterance shows to annotators.",
    "That the answer is right. A wrong answer has an explanation that looks just as good.",
    "What would be true of other clips. Every number here belongs to this clip and this model.",
    "That what was kept decided the answer. Kept frames and patches are what the model could still use.",
    "Why, in the world. It tells what the model’s number depends on, not what caused an expression.",
)
"""What an explanation does not show."""

MAY_NOT = (
    "This is a tool for research and teaching. Do not use it to decide about people.",
    "In the European Union the AI Act (Regulation (EU) 2024/1689, Article 5(1)(f)) prohibits systems that "
    "infer emotions of people at work and in education, except for medical or safety reasons. In a lecture, "
    "show sample clips; do not point it at students.",
    "Other systems that recognise emotions count as high-risk (Annex III), and people have to be told that "
    "they are used (Article 50). Other laws may forbid more.",
)
"""What the model may not be used for."""

OF_FIGURES = (
    "They are of these clips and of how they were labelled. On other faces, voices, languages, cameras and "
    "situations the same checkpoint may do much worse.",
    "A label is the emotion that an utterance shows to annotators, or, for made clips, that it was made to "
    "show. It is not what a person feels, and annotators disagree.",
    "An interval tells how a figure would vary with other clips of the same kind. It knows nothing of what "
    "another training seed would have given.",
    "A class of few clips has a wide interval. Where that holds both good and bad values, nothing is known.",
    "Many figures stand here. A few of them look remarkable by chance alone.",
)
"""What the figures of an evaluation do not show."""

OF_AN_EXPLANATION = (
    "An explanation tells what moved this model's answer. It does not tell what a person feels, nor whether "
    "the answer is right.",
    "Absence has to be imagined: words are left out or masked, sound is silenced, faces are blurred. Another "
    "idea of absence gives other shares.",
    "What the tests support was not refuted by them, which is no proof; what they call “do not rely on this” "
    "should not be told as a reason.",
    "The probabilities were calibrated on clips like those the model was trained on (see the checkpoint's "
    "card). On other recordings they, and what explains them, are a guess.",
    "Inferring emotions of people at work or in education is prohibited in the European Union, except for "
    "medical or safety reasons (AI Act, Article 5).",
)
"""What whoever reads the files of an explanation should know."""
