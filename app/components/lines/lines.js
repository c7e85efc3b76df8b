// Lines over a common axis, drawn anew when the width changes. What is pointed at is told for all lines at once.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 300;
const PLACE = { left: 52, right: 12, top: 8, bottom: 42 };
// around the middle of a mark, about 8 pixels wide
const MARKS = {
  circle: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
  diamond: "M0-5.2 5.2 0 0 5.2-5.2 0z",
  square: "M-3.7-3.7h7.4v7.4h-7.4z",
  triangle: "M0-5 5 3.8H-5z",
  cross: "M-3.6-3.6 3.6 3.6M3.6-3.6-3.6 3.6",
  star: "M0-9 2.2-3 8.6-2.8 3.6 1.2 5.3 7.3 0 3.8-5.3 7.3-3.6 1.2-8.6-2.8-2.2-3z",
};

function render(component) {
  const root = component.parentElement.querySelector(".lines");
  root._data = component.data;
  root._width = 0;
  root._resize ??= new ResizeObserver(() => paint(root));
  root._resize.observe(root);
  paint(root);
}

function paint(root) {
  const width = root.clientWidth;
  if (!width || width === root._width) return undefined;
  root._width = width;
  const { lines, alt, xTitle, yTitle } = root._data;
  const plot = document.createElementNS(SVG, "svg");
  plot.setAttribute("class", "plot");
  plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", alt);
  const [xs, ys] = [lines.flatMap((line) => line.xs), lines.flatMap((line) => line.ys).filter((y) => y !== null)];
  if (!ys.length) return root.replaceChildren();
  const x = scale(Math.min(...xs), Math.max(...xs), PLACE.left + 8, width - PLACE.right - 8);
  const y = scale(...roomy(Math.min(...ys), Math.max(...ys)), HEIGHT - PLACE.bottom, PLACE.top);
  drawAxes(plot, { x, y, width, xTitle, yTitle });
  lines.forEach((line) => drawLine(plot, line, x, y));
  const at = draw(plot, "line", { class: "at", y1: PLACE.top, y2: HEIGHT - PLACE.bottom, visibility: "hidden" });
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const points = [...new Set(xs)].sort((one, other) => one - other);
  plot.onpointermove = (event) => {
    const box = plot.getBoundingClientRect();
    const near = points.reduce((best, one) => (off(one) < off(best) ? one : best));
    function off(one) { return Math.abs(x(one) - (event.clientX - box.left)); }
    at.setAttribute("x1", x(near));
    at.setAttribute("x2", x(near));
    at.setAttribute("visibility", "visible");
    tip.hidden = false;
    tip.textContent = [`${xTitle} ${near}`, ...told(lines, near)].join("\n");
    // beside the line, on the side that has room
    const left = x(near) + 12 + tip.offsetWidth < width ? x(near) + 12 : x(near) - 12 - tip.offsetWidth;
    tip.style.left = `${Math.max(0, left)}px`;
  };
  plot.onpointerleave = () => { tip.hidden = true; at.setAttribute("visibility", "hidden"); };
  return root.replaceChildren(legend(lines), plot, tip);
}

function told(lines, at) {
  return lines.flatMap((line) => {
    const value = line.ys[line.xs.indexOf(at)];
    return value === undefined || value === null ? [] : [`${line.name}: ${Number(value.toFixed(4))}`];
  });
}

function scale(low, high, from, to) {
  const width = high - low || 1;
  const place = (value) => from + ((value - low) / width) * (to - from);
  place.low = low;
  place.high = high;
  return place;
}

function roomy(low, high) {
  const room = 0.06 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

// about `most` round numbers of a scale
function ticks({ low, high }, most, least = 0) {
  const rough = (high - low || 1) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, power * [1, 2, 5, 10].find((times) => times * power >= rough));
  const first = Math.ceil(low / step - 1e-9);
  const number = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: Math.max(number, 0) }, (_, index) => Number(((first + index) * step).toFixed(10)));
}

function drawAxes(plot, { x, y, width, xTitle, yTitle }) {
  const bottom = HEIGHT - PLACE.bottom;
  ticks(y, 6).forEach((value) => {
    draw(plot, "line", { class: "grid", x1: PLACE.left, x2: width - PLACE.right, y1: y(value), y2: y(value) });
    draw(plot, "text", { x: PLACE.left - 7, y: y(value) + 4, "text-anchor": "end" }).textContent = value;
  });
  ticks(x, Math.max(2, width / 90), 1).forEach((value) => {
    draw(plot, "text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }).textContent = value;
  });
  const middle = (PLACE.left + width - PLACE.right) / 2;
  draw(plot, "text", { x: middle, y: HEIGHT - 6, "text-anchor": "middle" }).textContent = xTitle;
  const turned = { transform: `translate(13 ${(PLACE.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" };
  draw(plot, "text", turned).textContent = yTitle;
}

function drawLine(plot, line, x, y) {
  const known = line.xs.map((at, index) => [at, line.ys[index], index]).filter(([, value]) => value !== null);
  const way = known.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
  draw(plot, "path", { class: "line", d: `M${way}`, stroke: line.color, "stroke-dasharray": line.dash });
  const place = ([at, value]) => `translate(${x(at).toFixed(1)} ${y(value).toFixed(1)})`;
  known.forEach((point) => {
    if (point[2] !== line.star) mark(plot, line.symbol, line.color, place(point));
  });
  // above all others of its line
  known.filter(([, , index]) => index === line.star).forEach((point) => mark(plot, "star", line.color, place(point)));
}

function mark(parent, symbol, color, transform) {
  const paint = symbol === "cross" ? { class: "mark open", stroke: color } : { class: `mark ${symbol}`, fill: color };
  draw(parent, "path", { ...paint, d: MARKS[symbol], transform });
}

function legend(lines) {
  const list = document.createElement("ul");
  list.className = "legend";
  list.setAttribute("aria-hidden", "true");
  lines.forEach((line) => {
    const row = list.appendChild(document.createElement("li"));
    const sample = row.appendChild(document.createElementNS(SVG, "svg"));
    sample.setAttribute("viewBox", "0 0 34 14");
    draw(sample, "path", { class: "line", d: "M0 7H34", stroke: line.color, "stroke-dasharray": line.dash });
    mark(sample, line.symbol, line.color, "translate(17 7)");
    row.append(line.name);
  });
  return list;
}

function draw(parent, tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}
