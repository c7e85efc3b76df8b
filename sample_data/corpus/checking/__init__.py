"""Measuring finished clips against what was planned: nothing here makes a clip or asks what makes them.

`measure.py` reads every file once, through the project's own guarded reader, and keeps a row of numbers per
clip (`sound.py`, `pitch.py`, `picture.py`). The checks then read rows alone: `files.py` (what the files are),
`voices.py`, `faces.py`, `lips.py`, `windows.py` (distractors), `texts.py` (does a text give a label away?)
and `classifiers.py` (how far do simple classifiers get?). `report.py` writes it all down.
"""
