// One clip's frames, sound and words over time. Called again whenever Python sends new data; the drawing is
// made anew only when the clip changes, so that focus and playback survive a rerun. Lanes are drawn in lanes.js,
// what the elements gave in shares.js; Python joins the three.

const PLAY = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2l10 6-10 6z"/></svg>';
const PAUSE = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 2h4v12H3zM9 2h4v12H9z"/></svg>';
const SVG = "http://www.w3.org/2000/svg";
const SETTLED_AFTER_MS = 150;
const DRAG_PIXELS = 4;
// past a frame's own time, so that rounding cannot show the frame before it
const PAST_SECONDS = 0.001;

function render(component) {
  const { parentElement, data, setTriggerValue } = component;
  const root = parentElement.querySelector(".timeline");
  const send = (frame) => setTriggerValue("frame", frame);
  if (root._view && root._view.id === data.id) {
    root._view.send = send;
    root._view.follow(data.selected);
    root._view.fill(data.shares);
  } else {
    root._view?.close();
    root._view = new View(root, data);
    root._view.send = send;
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
    this.selected = this.known = data.selected;
    this.hovered = null;
    this.awaiting = null;
    this.owed = null;
    this.span = Math.max(data.end - data.start, 1e-6);
    this.listeners = new AbortController();
    root.replaceChildren();
    this.buildBar();
    this.lanes = add(root, "div", "lanes");
    buildFilm(this);
    buildTies(this);
    buildShareLane(this, "frames");
    buildExpression(this);
    buildWave(this);
    buildShareLane(this, "windows");
    buildWords(this);
    buildRuler(this);
    this.buildPlayhead();
    buildLegend(this);
    this.watchPointer();
    this.watchPlayer();
    this.rested = this.now;
    this.rest();
    this.resize = new ResizeObserver(() => drawTies(this));
    this.resize.observe(this.lanes);
    this.fill(data.shares);
    this.mark();
    this.tick();
  }

  close() {
    this.listeners.abort();
    this.resize.disconnect();
    cancelAnimationFrame(this.loop);
    clearTimeout(this.settling);
  }

  at(seconds) {
    return Math.min(100, Math.max(0, ((seconds - this.data.start) / this.span) * 100));
  }

  // ---- the player

  get player() {
    return document.querySelector(`.st-key-${this.data.player} video, .st-key-${this.data.player} audio`);
  }

  get now() {
    return this.player ? this.player.currentTime : this.sought ?? this.data.start;
  }

  get isPlaying() {
    const player = this.player;
    return Boolean(player) && !player.paused && !player.ended;
  }

  watchPlayer() {
    const mine = (event) => event.target === this.player;
    const on = (names, act) => {
      for (const name of names) {
        // media events do not bubble, but they can be captured, also those of a player mounted later
        document.addEventListener(name, (event) => mine(event) && act(), {
          capture: true, signal: this.listeners.signal,
        });
      }
    };
    // whichever is the first of a player that came after this
    on(["play", "pause", "seeking", "seeked", "timeupdate", "loadstart", "loadedmetadata", "ended"], () => {
      this.rest();
      this.tick();
    });
    on(["seeking", "seeked", "pause", "ended"], () => this.settle());
    on(["play"], () => clearTimeout(this.settling));
    // where a fresh player begins is nobody's choice
    on(["loadstart", "loadedmetadata"], () => { clearTimeout(this.settling); this.rested = this.now; });
    on(["loadedmetadata"], () => this.goOn());
  }

  // Streamlit takes a player to the begin once it knows the file, over what was chosen until then
  goOn() {
    if (this.owed === null) return;
    const seconds = this.owed;
    this.owed = null;
    setTimeout(() => this.seek(seconds - PAST_SECONDS), 0);
  }

  // before it plays, a made clip would rest on a face without expression
  rest() {
    const player = this.player;
    if (!(player instanceof HTMLVideoElement) || player.poster === this.data.still) return;
    if (!this.data.still) { player.removeAttribute("poster"); return; }
    player.poster = this.data.still;
    passOverIdleSeeks(player);
    // it was ready, and sought, before this was drawn
    if (player.readyState && player.paused && !player.currentTime && !player.played.length) player.load();
  }

  tick() {
    cancelAnimationFrame(this.loop);
    const now = this.now;
    const playing = this.isPlaying;
    this.playhead.style.left = `${this.at(now)}%`;
    this.clock.textContent = `${now.toFixed(2)} s of ${this.data.end.toFixed(2)} s`;
    if (this.play.dataset.playing !== String(playing)) {
      this.play.dataset.playing = String(playing);
      this.play.innerHTML = playing ? PAUSE : PLAY;
      this.play.setAttribute("aria-label", playing ? "Pause" : "Play");
    }
    const current = this.nearest(now);
    this.cells.forEach((cell, index) => cell.classList.toggle("now", index === current));
    // words laid out evenly are nowhere in particular
    const word = this.data.hasWordTimes ? this.data.words.findIndex((one) => one.start <= now && now < one.end) : -1;
    this.wordButtons.forEach((button, index) => button.classList.toggle("now", index === word));
    const given = readShares(this, { frame: current, word, now });
    if (!playing) {
      // read out where it rests, not sixty times a second
      const frame = current === null ? "" : `, ${this.describe(current)}`;
      this.playhead.setAttribute("aria-valuenow", now.toFixed(2));
      this.playhead.setAttribute("aria-valuetext", `${now.toFixed(2)} seconds${frame}${given ? `. ${given}` : ""}`);
    }
    if (playing) this.loop = requestAnimationFrame(() => this.tick());
  }

  seek(seconds) {
    this.sought = Math.max(0, seconds + PAST_SECONDS);
    const player = this.player;
    if (player && !player.readyState) this.owed = this.sought;
    if (player) player.currentTime = this.sought;
    this.tick();
    this.settle();
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

  buildPlayhead() {
    const playhead = (this.playhead = add(this.lanes, "div", "playhead"));
    playhead.tabIndex = 0;
    playhead.setAttribute("role", "slider");
    playhead.setAttribute("aria-label", "Position in the clip. Arrow keys move, space plays.");
    playhead.setAttribute("aria-valuemin", this.data.start.toFixed(2));
    playhead.setAttribute("aria-valuemax", this.data.end.toFixed(2));
    playhead.onkeydown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { frames, start, end } = this.data;
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      const jump = { PageUp: 1, PageDown: -1 }[event.key];
      const within = (seconds) => Math.min(end, Math.max(start, seconds));
      if (event.key === " ") this.toggle();
      else if (jump) this.seek(within(this.now + jump));
      else if (event.key === "Home") frames.length ? this.pick(0) : this.seek(start);
      else if (event.key === "End") frames.length ? this.pick(frames.length - 1) : this.seek(end - 0.02);
      else if (step && frames.length) this.pick(this.beside(step));
      else if (step) this.seek(within(this.now + 0.1 * step));
      else return;
      event.preventDefault();
    };
  }

  // pressing anywhere seeks; frames and words know better where to, unless one draws
  watchPointer() {
    const { lanes } = this;
    let from = null;
    const scrub = (event) => {
      const box = lanes.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      this.seek(this.data.start + share * this.span);
    };
    const begin = (event) => { lanes.setPointerCapture(event.pointerId); scrub(event); };
    lanes.onpointerdown = (event) => {
      if (event.button) return;
      from = event.clientX;
      if (!event.target.closest("button")) begin(event);
    };
    lanes.onpointermove = (event) => {
      if (lanes.hasPointerCapture(event.pointerId)) scrub(event);
      else if (from !== null && event.buttons & 1 && Math.abs(event.clientX - from) > DRAG_PIXELS) begin(event);
    };
    lanes.onpointerup = lanes.onpointercancel = () => { from = null; };
    lanes.onmousedown = (event) => {
      if (event.target.closest("button")) return;
      event.preventDefault();
      this.playhead.focus({ preventScroll: true });
    };
    lanes.ondragstart = (event) => event.preventDefault();
  }

  // ---- choosing a frame

  describe(index) {
    const { frames } = this.data;
    const frame = frames[index];
    const where = `frame ${index + 1} of ${frames.length}, ${frame.time.toFixed(2)} s`;
    if (!frame.kept) {
      return frame.absorbedBy < 0
        ? `${where}: left out, merged into none`
        : `${where}: merged into ${frames[frame.absorbedBy].time.toFixed(2)} s`;
    }
    const held = frames.filter((other, from) => from !== index && other.absorbedBy === index).length;
    return `${where}: kept${held ? `, holds ${held} other${held > 1 ? "s" : ""}` : ""}`;
  }

  nearest(seconds) {
    let best = null;
    this.data.frames.forEach((frame, index) => {
      const gap = Math.abs(frame.time - seconds);
      if (best === null || gap < Math.abs(this.data.frames[best].time - seconds)) best = index;
    });
    return best;
  }

  // the candidate before or after the playhead
  beside(step) {
    const { frames } = this.data;
    const now = this.now;
    if (step > 0) {
      const next = frames.findIndex((frame) => frame.time > now + 1e-3);
      return next < 0 ? frames.length - 1 : next;
    }
    // a seek goes a millisecond past a frame's own time
    return Math.max(0, frames.findLastIndex((frame) => frame.time < now - 3e-3));
  }

  pick(index) {
    this.player?.pause();
    this.selected = index;
    this.seek(this.data.frames[index].time);
    this.mark();
  }

  // Python hears of the frame under the playhead once that rests: held keys and drags would start a rerun per step
  settle() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.report(), SETTLED_AFTER_MS);
  }

  report() {
    clearTimeout(this.settling);
    const now = this.now;
    if (this.isPlaying || !this.data.frames.length || Math.abs(now - this.rested) < 1e-3) return;
    this.rested = now;
    const index = this.nearest(now);
    if (index !== this.selected) { this.selected = index; this.mark(); }
    if (index === this.known) return;
    this.known = this.awaiting = index;
    this.send(index);
  }

  follow(selected) {
    // answers to older picks may still arrive while the keys move on
    if (this.awaiting !== null && selected !== this.awaiting) return;
    this.awaiting = null;
    if (selected === this.known) return;
    this.known = this.selected = selected;
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
    emphasise(this, this.hovered ?? this.selected);
    this.tell();
  }

  hover(index) {
    this.hovered = index;
    emphasise(this, index ?? this.selected);
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

  // ---- what the elements gave

  fill(shares) {
    const text = JSON.stringify(shares);
    if (text === this.filled) return;
    this.filled = text;
    this.shares = shares;
    drawShares(this);
    this.tick();
  }
}

// Streamlit seeks a fresh player to the begin, where it is already; after any seek a player shows no poster
function passOverIdleSeeks(player) {
  if (Object.hasOwn(player, "currentTime")) return;
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "currentTime");
  Object.defineProperty(player, "currentTime", {
    configurable: true,
    get,
    set(seconds) { if (seconds !== get.call(this)) set.call(this, seconds); },
  });
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
