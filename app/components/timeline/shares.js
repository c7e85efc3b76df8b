// ---- what the elements gave to the answer: filled in when it is there, in room that was kept for it

const SHARE_NAMES = { frames: "from each frame", windows: "from the sound" };

function buildShareLane(view, kind) {
  const lane = add(view.lanes, "div", "shares");
  lane.dataset.of = kind;
  lane.hidden = true;
  view.shareLanes = { ...view.shareLanes, [kind]: lane };
}

function buildLegend(view) {
  const legend = (view.legend = add(view.root, "div", "legend"));
  legend.hidden = true;
  view.key = add(legend, "span", "key");
  view.given = add(legend, "span", "given");
}

function signed(points) {
  const size = Math.abs(points).toFixed(1);
  return size === "0.0" ? "±0.0" : `${points > 0 ? "+" : "−"}${size}`;
}

function drawShares(view) {
  const { shares, data } = view;
  drawBars(view, "frames", shares.frames.map((points, index) => ({
    left: parseFloat(view.cells[index].style.left), width: parseFloat(view.cells[index].style.width), points,
    says: `${data.frames[index].time.toFixed(2)} s`,
  })));
  drawBars(view, "windows", shares.windows.map(([start, end, points]) => ({
    left: view.at(start), width: view.at(end) - view.at(start), points,
    says: `${start.toFixed(2)} to ${end.toFixed(2)} s`,
  })));
  drawWords(view);
  const isAny = shares.frames.length || shares.windows.length || shares.words.length;
  view.legend.hidden = !isAny;
  view.key.replaceChildren();
  if (!isAny) return;
  const entry = (name, text) => {
    const item = add(view.key, "span");
    add(item, "i", name);
    item.append(text);
  };
  entry("raises", `raises ${shares.of}`);
  entry("lowers", `lowers ${shares.of}`);
  if (shares.words.length) {
    entry("word-raises", "word that raises");
    entry("word-lowers", "word that lowers");
  }
  add(view.key, "span").textContent = `full bar or ground: ${shares.scale.toFixed(1)} points, one scale for all`;
}

function drawBars(view, kind, bars) {
  const lane = view.shareLanes[kind];
  const isAwaited = view.shares.awaited.includes(kind);
  lane.hidden = !bars.length && !isAwaited;
  lane.classList.toggle("awaited", isAwaited && !bars.length);
  lane.replaceChildren();
  if (lane.hidden) return;
  const caption = add(lane, "div", "caption");
  caption.textContent = bars.length ? `${SHARE_NAMES[kind]}, points` : `${SHARE_NAMES[kind]}: being computed …`;
  const plot = add(lane, "div", "plot");
  if (!bars.length) { lane.setAttribute("aria-busy", "true"); return; }
  lane.removeAttribute("aria-busy");
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", summary(view, kind, bars));
  add(caption, "span").textContent = `±${view.shares.scale.toFixed(1)}`;
  for (const { left, width, points, says } of bars) {
    if (!points) continue;
    const bar = add(plot, "i", points < 0 ? "lowers" : "raises");
    bar.style.left = `calc(${left}% + 1px)`;
    bar.style.width = `max(1px, calc(${width}% - 2px))`;
    bar.style.height = `${(50 * Math.abs(points)) / view.shares.scale}%`;
    bar.title = `${says}: ${signed(points)} points`;
  }
}

function summary(view, kind, bars) {
  const most = bars.reduce((one, other) => (Math.abs(other.points) > Math.abs(one.points) ? other : one));
  const name = kind === "frames" ? "frames" : "windows of sound";
  return `What ${bars.length} ${name} gave to ${view.shares.of}; most at ${most.says}: ${signed(most.points)} points.`;
}

function drawWords(view) {
  if (!view.wordButtons.length) return;
  const { words, scale, awaited } = view.shares;
  view.wordButtons.forEach((button, index) => {
    const { text, start, end } = view.data.words[index];
    const points = words[index] ?? 0;
    button.classList.toggle("raises", points > 0);
    button.classList.toggle("lowers", points < 0);
    button.style.setProperty("--share", words.length ? Math.abs(points) / scale : 0);
    const times = view.data.hasWordTimes ? `: ${start.toFixed(2)} to ${end.toFixed(2)} s` : "";
    button.title = `${text}${times}${words.length ? `, ${signed(points)} points` : ""}`;
  });
  const parts = [];
  if (!view.data.hasWordTimes) parts.push("the times of these words are not known; they are laid out evenly");
  if (awaited.includes("words") && !words.length) parts.push("from each word: being computed …");
  view.wordsNote.textContent = parts.join(" · ");
  view.wordsNote.hidden = !parts.length;
}

// what the elements at one moment gave, in words
function readShares(view, { frame, word, now }) {
  const { frames, windows, words } = view.shares ?? { frames: [], windows: [], words: [] };
  const parts = [];
  if (frames.length && frame !== null) parts.push(`frame ${signed(frames[frame])}`);
  const sound = windows.find(([start, end]) => start <= now && now < end);
  if (sound) parts.push(`sound ${signed(sound[2])}`);
  if (words.length && word >= 0) parts.push(`“${view.data.words[word].text}” ${signed(words[word])}`);
  const text = parts.length ? `Here: ${parts.join(", ")} points` : "";
  if (view.given.textContent !== text) view.given.textContent = text;
  return text;
}
