// A frame under its grid of patches. Dropped patches are veiled and tied to the patch that absorbed them.

const SVG = "http://www.w3.org/2000/svg";

export default function (component) {
  const { parentElement, data } = component;
  const root = parentElement.querySelector(".patches");
  const current = root._grid === `${data.rows}x${data.columns}` ? root._current ?? null : null;
  const hadFocus = root.contains(root.getRootNode().activeElement);
  root._grid = `${data.rows}x${data.columns}`;

  const frame = document.createElement("div");
  frame.className = "frame";
  const picture = document.createElement("img");
  picture.src = data.picture;
  picture.alt = "The part of the frame that the model saw";
  const svg = draw(frame, "svg", { viewBox: `0 0 ${data.columns} ${data.rows}`, preserveAspectRatio: "none" });
  svg.setAttribute("role", "grid");
  svg.setAttribute("aria-label", `${data.rows} by ${data.columns} patches, ${data.kept.filter(Boolean).length} kept. Arrow keys move.`);
  frame.prepend(picture);
  const says = document.createElement("div");
  says.className = "says";
  says.setAttribute("aria-live", "polite");
  root.replaceChildren(frame, says);

  const centre = (patch) => [(patch % data.columns) + 0.5, Math.floor(patch / data.columns) + 0.5];
  const place = (patch) => `row ${Math.floor(patch / data.columns) + 1}, column ${(patch % data.columns) + 1}`;
  const rank = (patch) => 1 + data.relevance.filter((value) => value !== null && value > data.relevance[patch]).length;

  const rows = Array.from({ length: data.rows }, () => draw(svg, "g", { role: "row" }));
  const cells = data.kept.map((kept, patch) => {
    const [x, y] = centre(patch);
    const cell = draw(rows[Math.floor(patch / data.columns)], "rect", {
      x: x - 0.5, y: y - 0.5, width: 1, height: 1, role: "gridcell",
      class: `cell ${kept ? "kept" : "dropped"}`, tabindex: patch === (current ?? 0) ? 0 : -1,
      "aria-label": story(patch),
    });
    cell.addEventListener("pointerenter", () => show(patch));
    cell.addEventListener("focus", () => { root._current = patch; show(patch); });
    cell.addEventListener("click", () => cell.focus());
    return cell;
  });
  const marks = [];
  data.kept.forEach((kept, patch) => {
    if (kept) return;
    const [x, y] = centre(patch);
    const to = data.absorbedBy[patch];
    if (to < 0) {
      draw(svg, "path", { class: "gone", d: `M${x - 0.12} ${y - 0.12}l.24 .24m0 -.24l-.24 .24` });
      return;
    }
    const [keeperX, keeperY] = centre(to);
    marks.push([to, draw(svg, "line", { class: "tie", x1: x, y1: y, x2: keeperX, y2: keeperY })]);
    marks.push([to, draw(svg, "circle", { class: "end", cx: x, cy: y, r: 0.07 })]);
  });

  function story(patch) {
    const score = data.relevance[patch];
    const ranked = data.relevance.filter((value) => value !== null).length;
    const worth = score === null || score === undefined ? "" : ` Relevance in this step: rank ${rank(patch)} of ${ranked}.`;
    if (data.kept[patch]) {
      const held = data.absorbedBy.flatMap((to, from) => (to === patch && from !== patch ? [from] : []));
      return `Patch at ${place(patch)}: kept${held.length ? `, holds ${held.length} other${held.length > 1 ? "s" : ""}` : ""}.${worth}`;
    }
    const to = data.absorbedBy[patch];
    return (to < 0
      ? `Patch at ${place(patch)}: dropped, not merged into any.`
      : `Patch at ${place(patch)}: merged into the patch at ${place(to)}.`) + worth;
  }

  function show(patch) {
    const keeper = patch === null ? -1 : data.kept[patch] ? patch : data.absorbedBy[patch];
    cells.forEach((cell, other) => {
      cell.classList.toggle("current", other === patch);
      cell.classList.toggle("keeper", other === keeper && keeper >= 0);
      cell.classList.toggle("group", keeper >= 0 && data.absorbedBy[other] === keeper);
    });
    marks.forEach(([to, mark]) => mark.classList.toggle("strong", to === keeper));
    says.textContent = patch === null ? "Point at a patch, or move with the arrow keys, to see where it went." : story(patch);
  }

  svg.addEventListener("pointerleave", () => show(root._current ?? null));
  svg.addEventListener("keydown", (event) => {
    const from = cells.indexOf(event.target);
    const column = from % data.columns;
    const to = {
      ArrowRight: column < data.columns - 1 ? from + 1 : from, ArrowLeft: column ? from - 1 : from,
      ArrowDown: from + data.columns, ArrowUp: from - data.columns,
      Home: from - column, End: from - column + data.columns - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0 || to >= cells.length) return;
    cells[from].setAttribute("tabindex", -1);
    cells[to].setAttribute("tabindex", 0);
    cells[to].focus();
  });
  show(current);
  root._current = current;
  if (hadFocus && current !== null) cells[current].focus();
}

function draw(parent, tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}
