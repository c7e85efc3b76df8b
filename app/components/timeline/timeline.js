// One clip's frames, sound and words over time. Called again whenever Python sends new data; the drawing is
// made anew only when the clip changes, so that focus and playback survive a rerun.

const PLAY = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2l10 6-10 6z"/></svg>';
const PAUSE = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 2h4v12H3zM9 2h4v12H9z"/></svg>';
const SVG = "http://www.w3.org/2000/svg";
const SEND_AFTER_MS = 140;

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  const root = parentElement.querySelector(".timeline");
  if (root._view && root._view.id === data.id) {
    root._view.send = (frame) => setTriggerValue("frame", frame);
    root._view.follow(data.selected);
  } else {
    root._view?.close();
    root._view = new View(root, data);
    root._view.send = (frame) => setTriggerValue("frame", frame);
  }
  // React calls the returned function before every call as well as at the end: only a detached root is closed.
  return () => setTimeout(() => {
    if (!root.isConnected && root._view) { root._view.close(); root._view = null; }
  }, 0);
}

class View {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.id = data.id;
    this.selected = data.selected;
    this.hovered = null;
    this.awaiting = null;
    this.span = Math.max(data.end - data.start, 1e-6);
    this.listeners = new AbortController();
    root.replaceChildren();
    this.buildBar();
    this.lanes = add(root, "div", "lanes");
    this.buildFilm();
    this.buildTies();
    this.buildWave();
    this.buildWords();
    this.buildRuler();
    this.playhead = add(this.lanes, "div", "playhead");
    this.watchPlayer();
    this.resize = new ResizeObserver(() => this.drawTies());
    this.resize.observe(this.lanes);
    this.mark();
    this.tick();
  }

  close() {
    this.listeners.abort();
    this.resize.disconnect();
    cancelAnimationFrame(this.loop);
    clearTimeout(this.sending);
  }

  at(seconds) {
    return Math.min(100, Math.max(0, ((seconds - this.data.start) / this.span) * 100));
  }

  // ---- the player

  get player() {
    return document.querySelector(`.st-key-${this.data.player} video, .st-key-${this.data.player} audio`);
  }

  watchPlayer() {
    const mine = (event) => event.target === this.player;
    const on = (name, act) =>
      // media events do not bubble, but they can be captured, also those of a player mounted later
      document.addEventListener(name, (event) => mine(event) && act(), {
        capture: true, signal: this.listeners.signal,
      });
    for (const name of ["play", "pause", "seeking", "seeked", "timeupdate", "loadedmetadata", "ended"]) {
      on(name, () => this.tick());
    }
  }

  tick() {
    cancelAnimationFrame(this.loop);
    const player = this.player;
    const now = player ? player.currentTime : this.sought ?? this.data.start;
    const playing = Boolean(player) && !player.paused && !player.ended;
    this.playhead.style.left = `${this.at(now)}%`;
    this.clock.textContent = `${now.toFixed(2)} s of ${this.data.end.toFixed(2)} s`;
    if (this.play.dataset.playing !== String(playing)) {
      this.play.dataset.playing = String(playing);
      this.play.innerHTML = playing ? PAUSE : PLAY;
      this.play.setAttribute("aria-label", playing ? "Pause" : "Play");
    }
    let current = -1;
    this.data.frames.forEach((frame, index) => { if (frame.time <= now + 1e-3) current = index; });
    this.cells.forEach((cell, index) => cell.classList.toggle("now", index === current));
    this.wordButtons.forEach((button, index) => {
      const word = this.data.words[index];
      button.classList.toggle("now", word.start <= now && now < word.end);
    });
    if (this.waveLane) {
      this.waveLane.setAttribute("aria-valuenow", now.toFixed(2));
      this.waveLane.setAttribute("aria-valuetext", `${now.toFixed(2)} seconds`);
    }
    if (playing) this.loop = requestAnimationFrame(() => this.tick());
  }

  seek(seconds) {
    // a millisecond past the frame's own time, so that rounding cannot show the frame before it
    this.sought = Math.max(0, seconds + 0.001);
    if (this.player) this.player.currentTime = this.sought;
    this.tick();
  }

  toggle() {
    const player = this.player;
    if (!player) return;
    if (player.paused) player.play().catch(() => {}); else player.pause();
  }

  // ---- parts

  buildBar() {
    const bar = add(this.root, "div", "bar");
    add(bar, "h3").textContent = this.data.title;
    this.play = add(bar, "button", "play");
    this.play.type = "button";
    this.play.onclick = () => this.toggle();
    this.clock = add(bar, "span", "clock");
    this.peek = add(bar, "div", "peek");
    this.peek.setAttribute("aria-hidden", "true");
  }

  buildFilm() {
    const { frames, start, end } = this.data;
    this.cells = [];
    if (!frames.length) return;
    const kept = frames.filter((frame) => frame.kept).length;
    const film = add(this.lanes, "div", "film");
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
      cell.setAttribute("aria-label", this.describe(index));
      cell.style.left = `${this.at(left)}%`;
      cell.style.width = `${this.at(right) - this.at(left)}%`;
      const picture = add(add(cell, "span", "pic"), "img");
      picture.alt = "";
      picture.src = frame.source;
      add(add(cell, "span", "worth"), "i").style.height = `${100 * frame.relevance}%`;
      cell.onclick = () => this.pick(index);
      cell.onpointerenter = () => this.hover(index);
      cell.onpointerleave = () => this.hover(null);
      cell.onfocus = () => this.hover(index);
      cell.onblur = () => this.hover(null);
      this.cells.push(cell);
    });
    film.onkeydown = (event) => {
      const last = frames.length - 1;
      const from = this.selected ?? 0;
      const to = {
        ArrowRight: Math.min(from + 1, last), ArrowLeft: Math.max(from - 1, 0), Home: 0, End: last,
      }[event.key];
      if (event.key === " ") { event.preventDefault(); this.toggle(); }
      if (to === undefined) return;
      event.preventDefault();
      this.pick(to);
      this.cells[to].focus();
    };
  }

  buildTies() {
    if (!this.cells.length) return;
    this.ties = add(this.lanes, "div", "ties");
    this.ties.setAttribute("aria-hidden", "true");
  }

  drawTies() {
    if (!this.ties) return;
    const { frames } = this.data;
    const width = this.ties.clientWidth;
    const height = this.ties.clientHeight;
    const svg = document.createElementNS(SVG, "svg");
    const centre = (index) => {
      const cell = this.cells[index];
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
    this.ties.replaceChildren(svg);
    this.emphasise(this.hovered ?? this.selected);
  }

  buildWave() {
    const { peaks } = this.data;
    if (!peaks.length) return;
    const lane = (this.waveLane = add(this.lanes, "div", "wave"));
    lane.tabIndex = 0;
    lane.setAttribute("role", "slider");
    lane.setAttribute("aria-label", "Position in the sound, in seconds");
    lane.setAttribute("aria-valuemin", this.data.start.toFixed(2));
    lane.setAttribute("aria-valuemax", this.data.end.toFixed(2));
    add(lane, "span", "name").textContent = "sound";
    const svg = draw(lane, "svg", { viewBox: `0 0 ${peaks.length} 2`, preserveAspectRatio: "none" });
    const heights = peaks.map((peak) => Math.max(peak, 0.02) * 0.96);
    const upper = heights.map((peak, index) => `${index + 0.5} ${1 - peak}`);
    const lower = heights.map((peak, index) => `${index + 0.5} ${1 + peak}`).reverse();
    draw(svg, "path", { d: `M0 1 L${upper.join(" L")} L${peaks.length} 1 L${lower.join(" L")} Z` });
    const scrub = (event) => {
      const box = lane.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      this.seek(this.data.start + share * this.span);
    };
    lane.onpointerdown = (event) => { lane.setPointerCapture(event.pointerId); scrub(event); };
    lane.onpointermove = (event) => { if (lane.hasPointerCapture(event.pointerId)) scrub(event); };
    lane.onkeydown = (event) => {
      const step = { ArrowRight: 0.1, ArrowLeft: -0.1, PageUp: 1, PageDown: -1 }[event.key];
      const to = event.key === "Home" ? this.data.start : event.key === "End" ? this.data.end - 0.02
        : step === undefined || !this.player ? undefined : this.player.currentTime + step;
      if (event.key === " ") { event.preventDefault(); this.toggle(); }
      if (to === undefined) return;
      event.preventDefault();
      this.seek(Math.min(this.data.end, Math.max(this.data.start, to)));
    };
  }

  buildWords() {
    this.wordButtons = [];
    if (!this.data.words.length) return;
    const lane = add(this.lanes, "div", "words");
    lane.setAttribute("role", "group");
    lane.setAttribute("aria-label", "Spoken words. Arrow keys move and seek.");
    this.data.words.forEach((word, index) => {
      const button = add(lane, "button", "word");
      button.type = "button";
      button.tabIndex = index ? -1 : 0;
      button.textContent = word.text;
      button.title = `${word.text}: ${word.start.toFixed(2)} to ${word.end.toFixed(2)} s`;
      button.style.left = `${this.at(word.start)}%`;
      button.style.width = `max(14px, ${this.at(word.end) - this.at(word.start)}%)`;
      button.onclick = () => this.seek(word.start);
      this.wordButtons.push(button);
    });
    lane.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === " ") { event.preventDefault(); this.toggle(); }
      if (!step) return;
      event.preventDefault();
      const from = this.wordButtons.indexOf(event.target);
      const to = Math.min(this.wordButtons.length - 1, Math.max(0, from + step));
      this.wordButtons.forEach((button, index) => { button.tabIndex = index === to ? 0 : -1; });
      this.wordButtons[to].focus();
      this.seek(this.data.words[to].start);
    };
  }

  buildRuler() {
    const ruler = add(this.lanes, "div", "ruler");
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300].find((size) => this.span / size <= 9) ?? 600;
    const digits = step < 1 ? 1 : 0;
    const ticks = [this.data.start];
    for (let time = Math.ceil(this.data.start / step + 0.3) * step; time < this.data.end - 0.45 * step; time += step) {
      ticks.push(time);
    }
    ticks.push(this.data.end);
    ticks.forEach((time, index) => {
      const label = add(ruler, "span");
      const edge = index === 0 || index === ticks.length - 1;
      label.textContent = `${time.toFixed(edge && time % step ? 2 : digits)} s`;
      label.style.left = `${this.at(time)}%`;
    });
  }

  // ---- choosing a frame

  describe(index) {
    const { frames } = this.data;
    const frame = frames[index];
    const where = `Frame ${index + 1} of ${frames.length}, ${frame.time.toFixed(2)} s`;
    if (!frame.kept) {
      return frame.absorbedBy < 0
        ? `${where}: dropped, not merged into any`
        : `${where}: merged into the frame at ${frames[frame.absorbedBy].time.toFixed(2)} s`;
    }
    const held = frames.filter((other, from) => from !== index && other.absorbedBy === index).length;
    return `${where}: kept${held ? `, holds ${held} other${held > 1 ? "s" : ""}` : ""}`;
  }

  pick(index) {
    this.player?.pause();
    this.seek(this.data.frames[index].time);
    if (index === this.selected) return;
    this.selected = index;
    this.mark();
    this.awaiting = index;
    // held arrow keys would start a rerun per step
    clearTimeout(this.sending);
    this.sending = setTimeout(() => this.send(index), SEND_AFTER_MS);
  }

  follow(selected) {
    // answers to older picks may still arrive while the keys move on
    if (this.awaiting !== null && selected !== this.awaiting) return;
    this.awaiting = null;
    if (selected === this.selected) return;
    this.selected = selected;
    if (selected !== null && this.data.frames[selected]) this.seek(this.data.frames[selected].time);
    this.mark();
  }

  mark() {
    this.cells.forEach((cell, index) => {
      const chosen = index === this.selected;
      cell.classList.toggle("selected", chosen);
      cell.setAttribute("aria-selected", String(chosen));
      cell.tabIndex = chosen || (this.selected === null && index === 0) ? 0 : -1;
    });
    this.emphasise(this.hovered ?? this.selected);
    this.tell();
  }

  hover(index) {
    this.hovered = index;
    this.emphasise(index ?? this.selected);
    this.tell();
  }

  // above the strip, in room of its own: the frame that is pointed at, or else the chosen one
  tell() {
    const index = this.hovered ?? this.selected;
    if (!this.cells[index]) return;
    const picture = document.createElement("img");
    picture.src = this.data.frames[index].source;
    picture.alt = "";
    const text = document.createElement("span");
    text.textContent = `${index === this.selected ? "Chosen: f" : "F"}${this.describe(index).slice(1)}`;
    this.peek.replaceChildren(picture, text);
  }

  emphasise(index) {
    const { frames } = this.data;
    const keeper = index === null || index === undefined || !frames[index] ? null
      : frames[index].kept ? index : frames[index].absorbedBy;
    this.cells.forEach((cell, other) => {
      cell.classList.toggle("related", keeper !== null && keeper >= 0 && frames[other].absorbedBy === keeper);
    });
    this.ties?.querySelectorAll("path").forEach((path) => {
      path.classList.toggle("strong", keeper !== null && Number(path.dataset.to) === keeper);
    });
  }
}

function add(parent, tag, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent.append(element);
  return element;
}

function draw(parent, tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}
