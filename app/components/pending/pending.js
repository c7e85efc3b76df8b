// Compares a text area of the page with the words that were read, at every key stroke.

// Streamlit may put other words into the box at any time, of which nobody is told
const LOOK_MILLISECONDS = 500;
// A page that is drawn slowly takes it out and puts it back; after so many looks it is gone
const LOOKS_UNTIL_GONE = 60;

function render(component) {
  const root = component.parentElement.querySelector(".pending");
  root._data = component.data;
  if (!root._listening) {
    root._listening = true;
    const listen = (event) => {
      if (event.target === box(root)) check(root);
    };
    document.addEventListener("input", listen, true);
    let missed = 0;
    const timer = setInterval(() => {
      missed = root.isConnected ? 0 : missed + 1;
      if (!missed) return check(root);
      if (missed < LOOKS_UNTIL_GONE) return;
      clearInterval(timer);
      document.removeEventListener("input", listen, true);
      root._listening = false;
    }, LOOK_MILLISECONDS);
  }
  check(root);
}

function box(root) {
  return document.querySelector(`.st-key-${root._data.box} textarea`);
}

function check(root) {
  const words = (box(root)?.value ?? root._data.read).trim().replace(/\s+/g, " ");
  const { read, limit } = root._data;
  const parts = words === read ? [] : ["Words changed, not predicted yet."];
  const { length } = [...words]; // in code points, as Python counts them
  if (length > limit) parts.push(`They have ${length} characters; the first ${limit} will be read.`);
  const text = parts.join(" ");
  if (root.textContent !== text) root.textContent = text;
}
