// A row of clips to choose from: one stop of the tab key, arrow keys move, enter or a click chooses. Where it
// runs on beyond an edge it fades, and an arrow turns to what is there.

// drawn as strokes on 16 × 16; the absences are struck through
const STRUCK = "M2 2L14 14";
const SIGNS = {
  "mixed": "M1 5h12M10 2l3 3-3 3M15 11H3M6 8l-3 3 3 3",
  "no-picture": `M1 4h9v8H1zM10 7l5-3v8l-5-3${STRUCK}`,
  "no-sound": `M2 6h3l4-4v12l-4-4H2zM12 5q2 3 0 6${STRUCK}`,
  "no-words": `M2 3h12v8H7l-3 3v-3H2z${STRUCK}`,
  "covered": "M2 4v9h8V4zM10 6h3v5h-3",
  "noisy": "M1 8h2l1.5-5 2.5 10 2.5-10 2.5 9 1.5-4h1.5",
};

function render(component) {
  const { parentElement, data, setTriggerValue } = component;
  const root = parentElement.querySelector(".gallery");
  const signature = JSON.stringify(data.items);
  if (root._signature !== signature) {
    const keys = data.items.map((item) => item.key).join("\n");
    const active = root.getRootNode().activeElement;
    const focused = root.contains(active) ? active.dataset?.key : null;
    if (root._keys !== keys) delete root.dataset.shown; // other clips: the chosen one may lie elsewhere
    root._signature = signature;
    root._keys = keys;
    root.replaceChildren(...data.items.map(build));
    if (focused) [...root.children].find((button) => button.dataset.key === focused)?.focus({ preventScroll: true });
  }
  const buttons = [...root.children];
  const mark = (chosen) => buttons.forEach((button) => {
    const selected = button.dataset.key === chosen;
    button.classList.toggle("selected", selected);
    button.setAttribute("aria-selected", String(selected));
    button.tabIndex = selected || (chosen === null && button === buttons[0]) ? 0 : -1;
  });
  const pick = (button) => {
    if (button.getAttribute("aria-selected") === "true") return;
    mark(button.dataset.key);
    setTriggerValue("pick", button.dataset.key);
  };
  buttons.forEach((button) => { button.onclick = () => pick(button); });
  root.onkeydown = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const last = buttons.length - 1;
    const from = buttons.indexOf(event.target);
    const to = { ArrowRight: Math.min(from + 1, last), ArrowLeft: Math.max(from - 1, 0), Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons[to].focus();
  };
  mark(data.selected);
  const bringInSight = () => {
    const chosen = [...root.children].find((button) => button.dataset.key === data.selected);
    // by hand: scrollIntoView would move the whole page too
    if (chosen && (chosen.offsetLeft < root.scrollLeft
        || chosen.offsetLeft + chosen.offsetWidth > root.scrollLeft + root.clientWidth)) {
      root.scrollLeft = chosen.offsetLeft - root.clientWidth / 2 + chosen.offsetWidth / 2;
    }
  };

  const shelf = root.parentElement;
  const hint = () => {
    shelf.classList.toggle("more-before", root.scrollLeft > 2);
    shelf.classList.toggle("more-after", root.scrollLeft + root.clientWidth < root.scrollWidth - 2);
  };
  const turn = (way) => root.scrollBy({ left: way * 0.8 * root.clientWidth, behavior: "smooth" });
  shelf.querySelector(".back").onclick = () => turn(-1);
  shelf.querySelector(".on").onclick = () => turn(1);
  root.onscroll = hint;
  shelf._resize ??= new ResizeObserver(() => hint());
  shelf._resize.observe(root);
  if (root.dataset.shown === String(data.selected)) return;
  root.dataset.shown = String(data.selected);
  // once all is drawn: to ask for places before has the whole page laid out once more
  requestAnimationFrame(() => { bringInSight(); hint(); });
}

function build(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "item";
  button.dataset.key = item.key;
  button.setAttribute("role", "option");
  const meanings = item.marks.map(([, meaning]) => meaning);
  button.setAttribute("aria-label", [item.name, item.title, ...meanings].join(", "));
  button.title = [item.title, ...meanings].join("\n");
  const shot = append(button, "span", "shot");
  if (item.picture) {
    const picture = append(shot, "img");
    picture.alt = "";
    picture.src = item.picture;
  }
  if (item.marks.length) {
    // in a corner, where the face is not
    const marks = append(shot, "span", "marks");
    item.marks.forEach(([name, meaning]) => {
      const mark = append(marks, "span", "mark");
      mark.title = meaning;
      mark.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${SIGNS[name]}"/></svg>`;
    });
  }
  const name = append(button, "span", "name");
  if (item.color) append(name, "i").style.background = item.color;
  name.append(item.name);
  append(button, "span", "title").textContent = item.title;
  return button;
}

function append(parent, tag, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent.append(element);
  return element;
}
