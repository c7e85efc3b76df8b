"""The app: `deepmsi app`, or `streamlit run app/main.py`."""

import importlib
import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

st.set_page_config(
    page_title="DeepMSI-MER Explorer",
    page_icon=str(HERE / "icon.svg"),
    layout="wide",
    initial_sidebar_state="collapsed",
    menu_items={"About": "**DeepMSI-MER Explorer**: which emotion a clip carries, and why."},
)
st.html(HERE / "style.css")
if "app.resources" not in sys.modules:
    with st.spinner("Starting: loading the numerical libraries, a few seconds, once …"):
        importlib.import_module("app.resources")
page = st.navigation(
    [st.Page(HERE / "pages" / "clip.py", title="Clip", icon=":material/movie:", default=True)]
)
page.run()
