// A grid of buttons: one stop of the tab key, arrow keys move, enter or a click chooses. It is marked at once; what
// belongs to it comes from the server.

// of a cell's row: from the first on its number is black on a light page, from the second on white on any page
const MIDDLE_SHARE = 0.55;
const HIGH_SHARE = 0.82;

function render(component) {
  const { parentElement, data, setTriggerValue } = component;
  const root = parentElement.querySelector(".matrix");
  const tip = parentElement.querySelector(".tip");
  const labels = data.labels;
  if (root._answered !== data.number) {
    root._answered = data.number;
    root._asked = JSON.stringify(data.chosen);
  }
  root.setAttribute("aria-multiselectable", String(data.chosen !== null && data.chosen.includes(null)));
  if (root._labels !== labels.join("\n")) {
    root._labels = labels.join("\n");
    root._cells = build(root, labels);
  }
  const cells = root._cells;
  root.setAttribute("aria-label", data.alt);
  const of = cells.map((_, place) => {
    const [row, column] = [Math.floor(place / labels.length), place % labels.length];
    return { label: labels[row], prediction: labels[column], ...data.rows[row][column] };
  });
  cells.forEach((cell, place) => fill(cell, of[place]));

  const mark = (chosen) => {
    let first = -1;
    cells.forEach((cell, place) => {
      const isChosen = chosen !== null && [of[place].label, of[place].prediction].every(
        (name, axis) => chosen[axis] === null || chosen[axis] === name,
      );
      if (isChosen && first < 0) first = place;
      cell.classList.toggle("chosen", isChosen);
      cell.setAttribute("aria-selected", String(isChosen));
    });
    // where somebody has walked on meanwhile, the stop stays with the focus
    const focused = cells.indexOf(root.getRootNode().activeElement);
    stop(cells, focused >= 0 ? focused : Math.max(first, 0));
  };
  const hint = (place) => {
    tip.hidden = place === null;
    if (place === null) return;
    tip.textContent = lines(of[place]).join("\n");
    const [cell, whole] = [cells[place], root.parentNode.host ?? root.parentNode];
    const [box, around] = [cell.getBoundingClientRect(), whole.getBoundingClientRect()];
    // above the cell, and never beyond the right edge
    tip.style.bottom = `${around.bottom - box.top + 4}px`;
    tip.style.left = `${Math.max(0, Math.min(box.left - around.left, around.width - tip.offsetWidth))}px`;
  };
  cells.forEach((cell, place) => {
    cell.onclick = () => {
      const pick = [of[place].label, of[place].prediction];
      mark(pick);
      // against what was asked for last, which the server may not have answered yet
      if (JSON.stringify(pick) === root._asked) return;
      root._asked = JSON.stringify(pick);
      setTriggerValue("pick", pick);
    };
    cell.onpointerenter = cell.onfocus = () => hint(place);
    cell.onpointerleave = cell.onblur = () => hint(null);
  });
  root.onkeydown = (event) => {
    if (event.key === "Escape") hint(null);
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const from = cells.indexOf(event.target);
    const [wide, column] = [labels.length, from % labels.length];
    const to = {
      ArrowRight: column < wide - 1 ? from + 1 : from, ArrowLeft: column ? from - 1 : from,
      ArrowDown: from + wide, ArrowUp: from - wide, Home: from - column, End: from - column + wide - 1,
    }[event.key];
    if (to === undefined || from < 0) return;
    event.preventDefault();
    if (!cells[to]) return;
    stop(cells, to);
    cells[to].focus();
  };
  mark(data.chosen);
}

function stop(cells, place) {
  cells.forEach((cell, other) => { cell.tabIndex = other === place ? 0 : -1; });
}

function lines(of) {
  const share = `${(100 * of.share).toFixed(1)} %`;
  return [`labelled: ${of.label}`, `predicted as: ${of.prediction}`, `clips: ${of.count.toLocaleString("en")}`, `share of the row: ${share}`];
}

function fill(cell, of) {
  cell.textContent = of.shown;
  cell.style.setProperty("--fill", (0.06 + 0.94 * of.share).toFixed(3));
  cell.classList.toggle("half", of.share > MIDDLE_SHARE);
  cell.classList.toggle("full", of.share > HIGH_SHARE);
  cell.setAttribute("aria-label", lines(of).join("; "));
}

function build(root, labels) {
  root.style.setProperty("--num", labels.length);
  const head = append(root, "div", "row head");
  head.setAttribute("role", "row");
  append(head, "span").setAttribute("role", "columnheader");
  labels.forEach((label) => {
    const name = append(head, "span", "name");
    name.setAttribute("role", "columnheader");
    append(name, "span").textContent = label;
  });
  const rows = labels.map((label, number) => {
    const row = document.createElement("div");
    row.className = "row";
    row.setAttribute("role", "row");
    const name = append(row, "span", "name");
    name.setAttribute("role", "rowheader");
    name.textContent = label;
    labels.forEach((_, column) => {
      const cell = append(row, "button", number === column ? "cell right" : "cell");
      cell.type = "button";
      cell.setAttribute("role", "gridcell");
    });
    return row;
  });
  root.replaceChildren(head, ...rows);
  return [...root.querySelectorAll(".cell")];
}

function append(parent, tag, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent.append(element);
  return element;
}
