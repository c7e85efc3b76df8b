// Compares a text area of the page with the words that were read, at every key stroke.

// Streamlit may put other words into the box at any time, of which nobody is told
const LOOK_MILLISECONDS = 500;

export default function (component) {
  const root = component.parentElement.querySelector(".pending");
  root._data = component.data;
  if (!root._listening) {
    root._listening = true;
    const listen = (event) => {
      if (event.target === box(root)) check(root);
    };
    document.addEventListener("input", listen, true);
    const timer = setInterval(() => {
      if (root.isConnected) return check(root);
      clearInterval(timer);
      document.removeEventListener("input", listen, true);
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
