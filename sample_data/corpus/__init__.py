"""The generator of the sample corpus: made clips whose every truth is known.

plan (`plan.py`: what, `speakers.py`: who, `sentences.py`: which words) → voice (`voice.py`, `prosody.py`) →
face (`motion.py`, `expressions.py`, `face/`) → clip (`clip.py`, `distractors.py`) → sidecar (`schema.py`).
`make.py` makes whole corpora, `check.py` measures finished ones. It needs the extra `corpus`, apart from
`schema.py`, which whoever trains on a made corpus reads its truth with. `docs/corpus.md` tells the reasons
and the sources.
"""
