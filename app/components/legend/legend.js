// Names the groups of a chart of points that Streamlit draws, and has Plotly colour it as the legend says.

// the chart is drawn after this, and now and then anew
const LOOK_MILLISECONDS = 300;

// Plotly's shapes, in a box from -8 to 8
const CIRCLE = "M6 0A6 6 0 1 1 -6 0A6 6 0 1 1 6 0Z";
const SHAPES = {
  "circle": CIRCLE,
  "square": "M-6 -6H6V6H-6Z",
  "diamond": "M0 -8L8 0L0 8L-8 0Z",
  "cross": "M-2.5 -7H2.5V-2.5H7V2.5H2.5V7H-2.5V2.5H-7V-2.5H-2.5Z",
  "x": "M-3 0L-7 -4L-4 -7L0 -3L4 -7L7 -4L3 0L7 4L4 7L0 3L-4 7L-7 4Z",
  "triangle-up": "M0 -7L7 5H-7Z",
  "triangle-down": "M0 7L7 -5H-7Z",
  "triangle-left": "M-7 0L5 -7V7Z",
  "star": "M0 -8L2 -2.5H8L3.2 1L5 7L0 3.4L-5 7L-3.2 1L-8 -2.5H-2Z",
  "pentagon": "M0 -7.5L7 -2.3L4.4 6H-4.4L-7 -2.3Z",
  "hourglass": "M-6 -6H6L-6 6H6Z",
  "bowtie": "M-6 -6V6L6 -6V6Z",
};
const RING = "#d33c2f";

function render(component) {
  const { parentElement, data, setTriggerValue } = component;
  const root = parentElement.querySelector(".legend");
  root._data = data;
  root._send = (name) => setTriggerValue("pick", name);
  const given = JSON.stringify([data.title, data.entries, data.picks]);
  if (root._given !== given) {
    root._given = given;
    build(root);
  }
  // by itself: a legend that is built anew loses the keyboard's focus
  root._ring.hidden = !data.ring;
  root._timer ??= setInterval(() => {
    if (root.isConnected) colour(root);
    else { clearInterval(root._timer); root._timer = null; }
  }, LOOK_MILLISECONDS);
  colour(root);
}

// as the legend says, whatever the chart was drawn with
function colour(root) {
  const { chart: key, mark, colour: wanted, place } = root._data;
  const chart = document.querySelector(`.st-key-${CSS.escape(key)} .js-plotly-plot`);
  if (!chart?.on || place === null) return;
  if (chart._tintedBy !== root) {
    chart._tintedBy = root;
    chart.on("plotly_afterplot", () => root.isConnected && colour(root));
  }
  if (chart.data?.[0]?.[mark] === wanted) return;
  chart.querySelectorAll(".updatemenu-button")[place]?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
}

function build(root) {
  const { title, entries, picks } = root._data;
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", `Legend: ${title}`);
  root.replaceChildren();
  if (!entries.length) {
    const entry = add(root, "span", "entry");
    entry.append(`${title} 0`);
    add(entry, "span", "scale");
    entry.append("1");
  }
  for (const [name, color, shape] of entries) {
    const entry = add(root, picks ? "button" : "span", "entry");
    const isOpen = shape.endsWith("-open");
    entry.append(drawn(SHAPES[shape.replace("-open", "")] ?? CIRCLE, color, isOpen), name);
    if (!picks) continue;
    entry.type = "button";
    entry.title = `Choose the clips of “${name}”`;
    entry.onclick = () => root._send(name);
  }
  root._ring = add(root, "span", "entry");
  root._ring.append(drawn(CIRCLE, RING, true), "opened clip");
}

function drawn(path, color, isOpen) {
  const SVG = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "-9 -9 18 18");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  shape.setAttribute("fill", isOpen ? "none" : color);
  if (isOpen) { shape.setAttribute("stroke", color); shape.setAttribute("stroke-width", "2.5"); }
  svg.append(shape);
  return svg;
}

function add(parent, tag, name) {
  const element = document.createElement(tag);
  element.className = name;
  parent.append(element);
  return element;
}
