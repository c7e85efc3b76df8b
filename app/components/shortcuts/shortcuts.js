// A list of keys, opened by a button and by "?"; the browser's own dialog keeps the focus inside and closes on escape.

const SIGNS = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space", PageUp: "Page up", PageDown: "Page down",
  Escape: "Esc", Control: "Ctrl",
};
const SPOKEN = { "←": "arrow left", "→": "arrow right", "↑": "arrow up", "↓": "arrow down", "?": "question mark" };

function render(component) {
  const { parentElement, data } = component;
  const dialog = parentElement.querySelector("dialog");
  dialog.querySelector("h2").textContent = `Keyboard shortcuts: ${data.page}`;
  dialog.querySelector(".places").replaceChildren(...data.places.map(list));
  dialog.querySelector(".close").onclick = () => dialog.close();
  // a press beside the list
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  parentElement.querySelector(".open").onclick = () => dialog.showModal();
  dialog._stop?.abort();
  dialog._stop = new AbortController();
  document.addEventListener("keydown", (event) => {
    if (!dialog.isConnected) return dialog._stop.abort();
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return undefined;
    event.preventDefault();
    return dialog.open ? dialog.close() : dialog.showModal();
  }, { signal: dialog._stop.signal });
}

function isTyping(event) {
  // within a component the event's target is the component as a whole
  const target = event.composedPath()[0];
  return target.isContentEditable || target.matches?.("textarea, select, input:not([type=checkbox], [type=radio], [type=range])");
}

function list(place) {
  const part = make("section");
  make("h3", part).textContent = place.name;
  const rows = make("dl", part);
  for (const { keys, does } of place.rows) {
    const term = make("dt", rows);
    keys.forEach((chord, index) => {
      if (index) term.append(" ");
      const signs = chord.split("+").map((key) => SIGNS[key] ?? (key.length === 1 ? key.toUpperCase() : key));
      const key = make("kbd", term);
      key.textContent = signs.join(" + ");
      key.setAttribute("aria-label", signs.map((sign) => SPOKEN[sign] ?? sign).join(" + "));
    });
    make("dd", rows).textContent = does;
  }
  return part;
}

function make(tag, parent) {
  const element = document.createElement(tag);
  parent?.append(element);
  return element;
}
