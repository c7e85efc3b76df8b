// A row of clips to choose from: one stop of the tab key, arrow keys move, enter or a click chooses. Where it
// runs on beyond an edge it fades, and an arrow turns to what is there.

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  const root = parentElement.querySelector(".gallery");
  const signature = data.items.map((item) => item.key).join("\n");
  if (root.dataset.signature !== signature) {
    root.dataset.signature = signature;
    root.replaceChildren(...data.items.map(build));
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
    const last = buttons.length - 1;
    const from = buttons.indexOf(event.target);
    const to = { ArrowRight: Math.min(from + 1, last), ArrowLeft: Math.max(from - 1, 0), Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons[to].focus();
  };
  mark(data.selected);
  if (root.dataset.shown !== String(data.selected)) {
    root.dataset.shown = String(data.selected);
    const chosen = buttons.find((button) => button.dataset.key === data.selected);
    // by hand: scrollIntoView would move the whole page too
    if (chosen && (chosen.offsetLeft < root.scrollLeft
        || chosen.offsetLeft + chosen.offsetWidth > root.scrollLeft + root.clientWidth)) {
      root.scrollLeft = chosen.offsetLeft - root.clientWidth / 2 + chosen.offsetWidth / 2;
    }
  }

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
  hint();
}

function build(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "item";
  button.dataset.key = item.key;
  button.setAttribute("role", "option");
  button.setAttribute("aria-label", [item.label, item.title, item.hint].filter(Boolean).join(", "));
  button.title = [item.title, item.hint].filter(Boolean).join("\n");
  const shot = append(button, "span", "shot");
  if (item.picture) {
    const picture = append(shot, "img");
    picture.alt = "";
    picture.src = item.picture;
  }
  if (item.badge) append(shot, "span", "badge").textContent = item.badge;
  const name = append(button, "span", "name");
  if (item.label) append(name, "i").style.background = item.color;
  name.append(item.label || "no label");
  append(button, "span", "title").textContent = item.title;
  return button;
}

function append(parent, tag, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent.append(element);
  return element;
}
