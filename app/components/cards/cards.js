// Cards to choose from: one stop of the tab key, arrow keys move, enter or a click opens. A chosen clip is drawn
// by the server elsewhere on the page, which is then scrolled into view.

function render(component) {
  const { parentElement, data, setTriggerValue } = component;
  const root = parentElement.querySelector(".cards");
  const signature = JSON.stringify(data.items);
  if (root._signature !== signature) {
    const active = root.getRootNode().activeElement;
    const focused = root.contains(active) ? active.dataset?.key : null;
    const keys = data.items.map((item) => item.key).join("\n");
    const isOther = root._keys !== keys;
    root._signature = signature;
    root._keys = keys;
    root.replaceChildren(...data.items.map(build));
    // where nobody scrolled this would have the whole page laid out once more
    if (isOther && root._isScrolled) root.scrollTop = 0;
    root.onscroll = () => { root._isScrolled = root.scrollTop > 0; };
    if (focused) [...root.children].find((card) => card.dataset.key === focused)?.focus();
  }
  const buttons = [...root.children];
  const mark = (chosen) => buttons.forEach((button) => {
    const selected = button.dataset.key === chosen;
    button.classList.toggle("selected", selected);
    button.setAttribute("aria-selected", String(selected));
    button.tabIndex = selected || (chosen === null && button === buttons[0]) ? 0 : -1;
  });
  buttons.forEach((button) => {
    button.onclick = () => {
      mark(button.dataset.key);
      if (button.dataset.key !== data.selected) setTriggerValue("pick", button.dataset.key);
      root._wanted = button.dataset.key;
      show();
    };
  });
  root.onkeydown = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const last = buttons.length - 1;
    const from = buttons.indexOf(event.target);
    const wide = Math.max(1, getComputedStyle(root).gridTemplateColumns.split(" ").length);
    const to = {
      ArrowRight: Math.min(from + 1, last), ArrowLeft: Math.max(from - 1, 0), Home: 0, End: last,
      ArrowDown: Math.min(from + wide, last), ArrowUp: Math.max(from - wide, 0),
    }[event.key];
    if (to === undefined || from < 0) return;
    event.preventDefault();
    buttons[to].focus();
  };
  const show = () => {
    if (root._wanted !== data.selected) return;
    root._wanted = null;
    const place = document.querySelector(`.st-key-${data.scrollTo}`);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    setTimeout(() => place?.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" }), 150);
  };
  mark(data.selected);
  show();
}

function build(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "card";
  button.dataset.key = item.key;
  button.setAttribute("role", "option");
  const spoken = [item.label, item.model, ...item.modalities].map((said) => [said.who, said.emotion || "nothing", said.percent].join(" "));
  button.setAttribute("aria-label", [...spoken, ...item.marks, item.title].join(", "));
  button.title = item.title;
  const shot = append(button, "span", "shot");
  if (item.picture) {
    const picture = append(shot, "img");
    picture.alt = "";
    picture.src = item.picture;
  }
  const marks = append(shot, "span", "marks");
  item.marks.forEach((mark) => { append(marks, "span", "mark").textContent = mark; });
  const lines = append(button, "span", "lines");
  line(lines, item.label, "strong");
  line(lines, item.model, "strong");
  append(lines, "span", "rule");
  item.modalities.forEach((said) => line(lines, said, ""));
  append(button, "span", "title").textContent = item.title;
  return button;
}

function line(parent, said, kind) {
  append(parent, "span", "who").textContent = said.who;
  const emotion = append(parent, "span", `emotion ${kind}`);
  if (said.emotion) append(emotion, "i").style.background = said.color;
  emotion.append(said.emotion || "–");
  const sign = said.who === "label" || !said.emotion ? "" : said.is_right ? " ✓" : " ✗";
  append(parent, "span", "percent").textContent = `${said.percent}${sign}`;
}

function append(parent, tag, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent.append(element);
  return element;
}
