// ---- the lanes: frames and where they went, how the clip was made, sound, words, seconds

function buildFilm(view) {
  const { frames, start, end } = view.data;
  view.cells = [];
  if (!frames.length) return;
  const kept = frames.filter((frame) => frame.kept).length;
  const film = add(view.lanes, "div", "film");
  film.setAttribute("role", "listbox");
  film.setAttribute("aria-orientation", "horizontal");
  film.setAttribute(
    "aria-label",
    `${frames.length} candidate frames, ${kept} kept. Arrow keys move and seek, space plays.`,
  );
  frames.forEach((frame, index) => {
    const left = index ? (frames[index - 1].time + frame.time) / 2 : start;
    const right = index + 1 < frames.length ? (frame.time + frames[index + 1].time) / 2 : end;
    const cell = add(film, "button", `cell ${frame.kept ? "kept" : "dropped"}`);
    cell.type = "button";
    cell.setAttribute("role", "option");
    cell.setAttribute("aria-label", `F${view.describe(index).slice(1)}`);
    cell.style.left = `${view.at(left)}%`;
    cell.style.width = `${view.at(right) - view.at(left)}%`;
    const picture = add(add(cell, "span", "pic"), "img");
    picture.alt = "";
    picture.src = frame.source;
    add(add(cell, "span", "worth"), "i").style.height = `${100 * frame.relevance}%`;
    cell.onclick = () => { view.pick(index); view.report(); };
    cell.onpointerenter = () => view.hover(index);
    cell.onpointerleave = () => view.hover(null);
    cell.onfocus = () => view.hover(index);
    cell.onblur = () => view.hover(null);
    view.cells.push(cell);
  });
  film.onkeydown = (event) => {
    const last = frames.length - 1;
    const from = view.selected ?? 0;
    const to = {
      ArrowRight: Math.min(from + 1, last), ArrowLeft: Math.max(from - 1, 0), Home: 0, End: last,
    }[event.key];
    if (event.key === " ") { event.preventDefault(); view.toggle(); }
    if (to === undefined) return;
    event.preventDefault();
    view.pick(to);
    view.cells[to].focus();
  };
}

function buildTies(view) {
  if (!view.cells.length) return;
  view.ties = add(view.lanes, "div", "ties");
  view.ties.setAttribute("aria-hidden", "true");
}

function drawTies(view) {
  if (!view.ties) return;
  const { frames } = view.data;
  const width = view.ties.clientWidth;
  const height = view.ties.clientHeight;
  const svg = document.createElementNS(SVG, "svg");
  const centre = (index) => {
    const cell = view.cells[index];
    return cell.offsetLeft + cell.offsetWidth / 2;
  };
  const widest = Math.max(1, ...frames.map((frame, index) =>
    frame.absorbedBy >= 0 ? Math.abs(centre(frame.absorbedBy) - centre(index)) : 0));
  frames.forEach((frame, index) => {
    const x = centre(index);
    if (frame.kept) {
      const dot = draw(svg, "circle", { cx: x, cy: 7, r: 3.5, class: "keeper" });
      dot.dataset.frame = index;
    } else if (frame.absorbedBy < 0) {
      draw(svg, "text", { x, y: 8, class: "gone" }).textContent = "×";
    } else {
      const to = centre(frame.absorbedBy);
      const depth = 12 + (height - 14) * Math.sqrt(Math.abs(to - x) / widest);
      const path = draw(svg, "path", { d: `M${x} 0 C${x} ${depth} ${to} ${depth} ${to} 9` });
      path.dataset.from = index;
      path.dataset.to = frame.absorbedBy;
    }
  });
  svg.setAttribute("viewBox", `0 0 ${Math.max(width, 1)} ${height}`);
  view.ties.replaceChildren(svg);
  emphasise(view, view.hovered ?? view.selected);
}

// the group of the frame that is meant, and most of all its own line
function emphasise(view, index) {
  const { frames } = view.data;
  const keeper = index === null || index === undefined || !frames[index] ? null
    : frames[index].kept ? index : frames[index].absorbedBy;
  view.cells.forEach((cell, other) => {
    cell.classList.toggle("related", keeper !== null && keeper >= 0 && frames[other].absorbedBy === keeper);
  });
  view.ties?.querySelectorAll("path").forEach((path) => {
    path.classList.toggle("strong", keeper !== null && Number(path.dataset.to) === keeper);
    path.classList.toggle("meant", Number(path.dataset.from) === index);
  });
}

// what is known of a made clip is hatched, which nothing of the model's is
function hatch(view, lane, band) {
  const points = band.points.map(([time, value]) => [view.at(time), 100 * (1 - value)]);
  const area = add(lane, "div", "hatched");
  const [first, last] = [points[0][0], points.at(-1)[0]];
  area.style.clipPath = `polygon(${first}% 100%, ${points.map(([x, y]) => `${x}% ${y}%`).join(", ")}, ${last}% 100%)`;
  return area;
}

function buildExpression(view) {
  const { expression } = view.data;
  if (!expression) return;
  const lane = add(view.lanes, "div", "made");
  lane.title = expression.says;
  add(lane, "span", "name").textContent = "expression, as made";
  const area = hatch(view, lane, expression);
  area.setAttribute("role", "img");
  area.setAttribute("aria-label", expression.says);
}

function buildWave(view) {
  const { peaks, voice } = view.data;
  if (!peaks.length) return;
  const lane = add(view.lanes, "div", "wave");
  add(lane, "span", "name").textContent = "sound";
  const svg = draw(lane, "svg", { viewBox: `0 0 ${peaks.length} 2`, preserveAspectRatio: "none" });
  svg.setAttribute("aria-hidden", "true");
  const heights = peaks.map((peak) => Math.max(peak, 0.02) * 0.96);
  const upper = heights.map((peak, index) => `${index + 0.5} ${1 - peak}`);
  const lower = heights.map((peak, index) => `${index + 0.5} ${1 + peak}`).reverse();
  if (voice) {
    const area = hatch(view, lane, voice);
    area.setAttribute("role", "img");
    area.setAttribute("aria-label", voice.says);
    lane.title = voice.says;
  }
  draw(svg, "path", { d: `M0 1 L${upper.join(" L")} L${peaks.length} 1 L${lower.join(" L")} Z` });
}

function buildWords(view) {
  view.wordButtons = [];
  if (!view.data.words.length) return;
  const lane = add(view.lanes, "div", "words");
  lane.setAttribute("role", "group");
  lane.setAttribute("aria-label", "Spoken words. Arrow keys move and seek.");
  view.data.words.forEach((word, index) => {
    const button = add(lane, "button", "word");
    button.type = "button";
    button.tabIndex = index ? -1 : 0;
    button.textContent = word.text;
    button.style.left = `${view.at(word.start)}%`;
    button.style.width = `max(14px, ${view.at(word.end) - view.at(word.start)}%)`;
    button.onclick = () => view.seek(word.start);
    view.wordButtons.push(button);
  });
  view.wordsNote = add(view.lanes, "div", "caption");
  lane.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === " ") { event.preventDefault(); view.toggle(); }
    if (!step) return;
    event.preventDefault();
    const from = view.wordButtons.indexOf(event.target);
    const to = Math.min(view.wordButtons.length - 1, Math.max(0, from + step));
    view.wordButtons.forEach((button, index) => { button.tabIndex = index === to ? 0 : -1; });
    view.wordButtons[to].focus();
    view.seek(view.data.words[to].start);
  };
}

function buildRuler(view) {
  const { start, end } = view.data;
  const ruler = add(view.lanes, "div", "ruler");
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300].find((size) => view.span / size <= 9) ?? 600;
  const digits = step < 1 ? 1 : 0;
  const ticks = [start];
  for (let time = Math.ceil(start / step + 0.3) * step; time < end - 0.45 * step; time += step) {
    ticks.push(time);
  }
  ticks.push(end);
  ticks.forEach((time, index) => {
    const label = add(ruler, "span");
    const edge = index === 0 || index === ticks.length - 1;
    label.textContent = `${time.toFixed(edge && time % step ? 2 : digits)} s`;
    label.style.left = `${view.at(time)}%`;
  });
}
