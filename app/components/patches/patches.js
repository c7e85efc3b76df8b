// A frame under its grid of patches. Dropped patches are veiled, and a kept one says how many it took in; which,
// is drawn for the patch that is pointed at or chosen.

const SVG = "http://www.w3.org/2000/svg";

function render(component) {
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
  const left = data.isBefore ? "" : `, ${data.kept.filter(Boolean).length} kept`;
  svg.setAttribute("aria-label", `${data.rows} by ${data.columns} patches${left}. Arrow keys move.`);
  svg.innerHTML = '<defs><marker id="tip" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="5" markerHeight="5" orient="auto"><path d="M0 0L10 5L0 10z"/></marker></defs>';
  frame.prepend(picture);
  const says = document.createElement("div");
  says.className = "says";
  says.setAttribute("aria-live", "polite");
  root.replaceChildren(frame, says);

  const centre = (patch) => [(patch % data.columns) + 0.5, Math.floor(patch / data.columns) + 0.5];
  const place = (patch) => `row ${Math.floor(patch / data.columns) + 1}, column ${(patch % data.columns) + 1}`;
  const held = (keeper) => data.absorbedBy.flatMap((to, from) => (to === keeper && from !== keeper ? [from] : []));
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
  data.kept.forEach((kept, patch) => {
    const [x, y] = centre(patch);
    if (kept) {
      // "+" is the sign of what raised, where that is shown
      if (held(patch).length && !data.points) draw(svg, "text", { class: "count", x: x + 0.46, y: y + 0.42 }).textContent = `+${held(patch).length}`;
    } else if (data.absorbedBy[patch] < 0) {
      draw(svg, "path", { class: "gone", d: `M${x - 0.12} ${y - 0.12}l.24 .24m0 -.24l-.24 .24` });
    }
  });
  svg.classList.toggle("bare", !data.showsFate);
  const given = draw(svg, "g", { class: "given", "aria-hidden": "true" });
  if (data.points) drawPoints();
  const arrows = draw(svg, "g", { "aria-hidden": "true" });

  // what the parts gave, by colour and, where it is much, by a sign
  function drawPoints() {
    const [height, width] = [data.rows / data.points.length, data.columns / data.points[0].length];
    data.points.forEach((row, y) => row.forEach((points, x) => {
      const share = data.scale ? Math.abs(points) / data.scale : 0;
      if (share < 0.02) return;
      draw(given, "rect", {
        class: points < 0 ? "lowers" : "raises", x: x * width, y: y * height, width, height,
        "fill-opacity": (0.8 * share).toFixed(3),
      });
      if (share < 0.25) return;
      draw(given, "text", { x: (x + 0.5) * width, y: (y + 0.5) * height, "font-size": 0.42 * Math.min(width, height) })
        .textContent = points < 0 ? "−" : "+";
    }));
  }

  // what the part at a patch's centre gave, in words
  function gave(patch) {
    if (!data.points) return "";
    const [x, y] = centre(patch);
    const row = data.points[Math.floor((y / data.rows) * data.points.length)];
    const points = row[Math.floor((x / data.columns) * row.length)];
    return ` It gave ${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(2)} points.`;
  }

  function story(patch) {
    return fate(patch) + gave(patch);
  }

  function fate(patch) {
    if (data.isBefore) return `Patch at ${place(patch)}.`;
    const score = data.relevance[patch];
    const ranked = data.relevance.filter((value) => value !== null).length;
    const worth = score === null || score === undefined ? "" : ` Relevance in this step: rank ${rank(patch)} of ${ranked}.`;
    if (data.kept[patch]) {
      const count = held(patch).length;
      return `Patch at ${place(patch)}: kept${count ? `, took in ${count} other${count > 1 ? "s" : ""}` : ""}.${worth}`;
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
    arrows.replaceChildren();
    if (data.showsTies) {
      data.absorbedBy.forEach((to, from) => {
        if (to < 0 || to === from) return;
        const [[x1, y1], [x2, y2]] = [centre(from), centre(to)];
        draw(arrows, "line", { class: "tie all", x1, y1, x2, y2, "marker-end": "url(#tip)" });
      });
    }
    if (keeper >= 0) {
      const [x2, y2] = centre(keeper);
      // the one that is meant comes last, above its siblings
      held(keeper).sort((one, other) => (one === patch) - (other === patch)).forEach((from) => {
        const [x1, y1] = centre(from);
        const meant = from === patch;
        draw(arrows, "line", { class: meant ? "tie meant" : "tie", x1, y1, x2, y2, ...(meant && { "marker-end": "url(#tip)" }) });
      });
    }
    says.textContent = patch !== null ? story(patch)
      : data.isBefore ? "All patches, before any step."
      : "Point at a patch, or move with the arrow keys, to see what became of it.";
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
