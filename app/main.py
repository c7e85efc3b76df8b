"""The app: `deepmsi app`, or `streamlit run app/main.py`."""

import gc
import importlib
import sys
from contextlib import nullcontext
from pathlib import Path

import streamlit as st

from app.components.shortcuts import shortcuts
from app.linked import enter

HERE = Path(__file__).parent

ABOUT = """
**DeepMSI-MER Explorer** takes a clip and names the emotion that it shows, with calibrated probabilities. It
then shows on what grounds: which frames and patches the model kept, and what picture, sound and words each
gave to the answer.

**The people in the sample clips are computer-generated**: faces are rendered and voices synthesised; no real
person is shown or heard.

**What it must not be used for.** The model names the emotion that an utterance *shows* to annotators; it does
not know what a person feels. This is a tool for research and teaching. Do not use it to decide about people.
In the European Union the AI Act (Regulation (EU) 2024/1689, Article 5(1)(f)) prohibits systems that infer
emotions of people at work and in education, except for medical or safety reasons. Other laws may forbid more.
"""

st.set_page_config(
    page_title="DeepMSI-MER Explorer",
    page_icon=str(HERE / "icon.svg"),
    layout="wide",
    initial_sidebar_state="collapsed",
    menu_items={"About": ABOUT},
)
st.html(HERE / "style.css")
is_first = "app.resources" not in sys.modules
with (
    st.spinner("Starting: loading the numerical libraries, a few seconds, once …")
    if is_first
    else nullcontext()
):
    # also where another session imports it right now, for which this one then waits
    resources = importlib.import_module("app.resources")
if is_first:
    # what was imported stays: looking through it for garbage would hold up every session, time and again
    gc.collect()
    gc.freeze()
page = st.navigation(
    [
        st.Page(HERE / "screens" / "clip.py", title="Clip", icon=":material/movie:", default=True),
        st.Page(HERE / "screens" / "failures.py", title="Failures", icon=":material/rule:"),
        st.Page(HERE / "screens" / "embeddings.py", title="Embeddings", icon=":material/scatter_plot:"),
        st.Page(HERE / "screens" / "compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page(HERE / "screens" / "checkpoints.py", title="Checkpoints", icon=":material/deployed_code:"),
        st.Page(HERE / "screens" / "own_data.py", title="Own data", icon=":material/folder_open:"),
        st.Page(HERE / "screens" / "learn.py", title="Learn", icon=":material/school:"),
    ],
    position="top",
)
shortcuts(page.title)
if page.title != "Clip":
    resources.want_nothing()
enter(page.title)
page.run()
