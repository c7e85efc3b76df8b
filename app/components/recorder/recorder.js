// Records with the camera and the microphone. The states follow one another: consent, live (the camera is open),
// recording, review; each draws its own controls. Streamlit calls again on every rerun, which changes nothing here.

const KINDS = ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4", "audio/webm;codecs=opus", "audio/webm", "audio/mp4"];
const VIDEO_BITS = 2_000_000;
const AUDIO_BITS = 96_000;
// a camera gives its first pictures late, and shorter than this is a slip of the mouse
const SHORTEST_MS = 500;

function render(component) {
  const { parentElement, data, setTriggerValue } = component;
  const root = parentElement.querySelector(".recorder");
  root._recorder ??= new Recorder(root, data);
  root._recorder.send = (clip) => setTriggerValue("clip", clip);
  // also called before every further call: only a root that is gone lets go of the camera
  return () => setTimeout(() => {
    if (!root.isConnected && root._recorder) { root._recorder.close(); root._recorder = null; }
  }, 0);
}

class Recorder {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.wanted = { video: true, audio: true };
    this.hasAgreed = false;
    this.says = make("p", "says");
    this.says.setAttribute("role", "status");
    this.stage = make("div", "stage");
    root.replaceChildren(this.stage, this.says);
    const reason = whyImpossible();
    if (reason) { this.stage.hidden = true; this.complain(reason); } else this.consent();
  }

  close() {
    this.isClosed = true;
    clearInterval(this.clock);
    if (this.media?.state === "recording") { this.media.onstop = null; this.media.stop(); }
    this.release();
    if (this.address) URL.revokeObjectURL(this.address);
  }

  release() {
    cancelAnimationFrame(this.metering);
    this.context?.close();
    this.context = null;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
  }

  // ---- what is told

  complain(text) {
    this.says.className = "says fault";
    this.says.setAttribute("role", "alert");
    this.says.textContent = text;
  }

  tell(text) {
    this.says.className = "says";
    this.says.setAttribute("role", "status");
    this.says.textContent = text;
  }

  // ---- consent: before any device is touched

  consent() {
    const { seconds, megabytes } = this.data;
    const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
    const place = here ? "on this machine" : `on the server ${location.hostname}, which runs this app`;
    const text = make("p", "consent");
    text.textContent =
      `Picture and sound of your camera and microphone are recorded, at most ${seconds} s and ${megabytes} MB. Until you press “Use `
      + `this clip” nothing leaves your browser. Then the clip is kept ${place}, in a private folder that is deleted with `
      + "your session, or as soon as you take the clip away or give another. It is sent nowhere else.";
    const options = make("div", "row");
    const pick = { video: this.box("Picture", this.wanted.video), audio: this.box("Sound", this.wanted.audio) };
    options.append(pick.video.parentElement, pick.audio.parentElement);
    const agreed = this.box("Everyone who will be seen or heard has agreed to this.", this.hasAgreed);
    const open = this.button("Open camera and microphone", "primary", () => this.open());
    const settle = () => {
      this.hasAgreed = agreed.checked;
      this.wanted = { video: pick.video.checked, audio: pick.audio.checked };
      open.disabled = !(this.hasAgreed && (this.wanted.video || this.wanted.audio));
      open.textContent = `Open ${namesOf(this.wanted) || "camera and microphone"}`;
    };
    for (const input of [agreed, pick.video, pick.audio]) input.onchange = settle;
    const row = make("div", "row");
    row.append(open);
    this.stage.replaceChildren(text, options, agreed.parentElement, row);
    settle();
  }

  async open() {
    this.tell("Your browser may ask whether this page may use them …");
    const { video, audio } = this.wanted;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: video && { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25, max: 30 }, facingMode: "user" },
        // levelling would take the loudness out of the voice, which tells of emotion
        audio: audio && { autoGainControl: false, echoCancellation: false },
      });
    } catch (error) {
      const text = await whyRefused(error, this.wanted);
      return this.isClosed ? undefined : this.complain(text);
    }
    if (this.isClosed) { stream.getTracks().forEach((track) => track.stop()); return undefined; }
    this.stream = stream;
    for (const track of stream.getTracks()) track.onended = () => this.lost(track.kind);
    return this.live();
  }

  lost(kind) {
    if (!this.stream) return;
    const device = kind === "video" ? "camera" : "microphone";
    clearInterval(this.clock);
    if (this.media?.state === "recording") { this.media.onstop = null; this.media.stop(); }
    this.release();
    this.consent();
    this.complain(`The ${device} went away; connect it, or allow it again in the browser, and open it anew.`);
  }

  // ---- live: what the devices give, not yet recorded

  live() {
    this.tell("Look into the camera, and say a sentence or two.");
    const record = this.button("Record", "primary dot", () => this.record());
    const close = this.button("Close", "", () => { this.release(); this.tell(""); this.consent(); });
    this.scene(this.screen(), [record, close]);
    record.focus();
  }

  screen() {
    const parts = [];
    if (this.wanted.video) {
      const video = make("video", "mirrored");
      Object.assign(video, { muted: true, playsInline: true, autoplay: true, srcObject: this.stream });
      video.setAttribute("aria-label", "What the camera sees, mirrored");
      parts.push(video);
    }
    if (this.wanted.audio) parts.push(this.meter());
    return parts;
  }

  // how loud it is, so that a muted microphone is seen before it is missed
  meter() {
    const meter = make("div", "meter");
    meter.setAttribute("aria-hidden", "true");
    const bar = make("i");
    meter.append("sound", bar);
    this.context ??= new AudioContext();
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 1024;
    this.context.createMediaStreamSource(this.stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const draw = () => {
      analyser.getFloatTimeDomainData(samples);
      const loudness = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      bar.style.setProperty("--level", Math.min(1, Math.max(0, 1 + Math.log10(loudness + 1e-6) / 2.5)).toFixed(3));
      this.metering = requestAnimationFrame(draw);
    };
    cancelAnimationFrame(this.metering);
    draw();
    return meter;
  }

  // ---- recording

  record() {
    const kinds = KINDS.filter((kind) => kind.startsWith(this.wanted.video ? "video" : "audio"));
    const mimeType = kinds.find((kind) => MediaRecorder.isTypeSupported(kind));
    const parts = [];
    try {
      this.media = new MediaRecorder(this.stream, { mimeType, videoBitsPerSecond: VIDEO_BITS, audioBitsPerSecond: AUDIO_BITS });
      this.media.ondataavailable = (event) => { if (event.data.size) parts.push(event.data); };
      this.media.onstop = () => this.review(new Blob(parts, { type: this.media.mimeType || mimeType }));
      this.media.onerror = () => { this.release(); this.consent(); this.complain("The recording broke off; record it again."); };
      this.media.start(250);
    } catch {
      return this.complain("This browser cannot record what the camera gives; record with another program and give the file.");
    }
    this.began = performance.now();
    const stop = this.button("Stop", "primary square", () => this.stop());
    const left = make("span", "left");
    left.setAttribute("role", "timer");
    const rail = make("span", "rail");
    rail.append(make("i"));
    this.controls.replaceChildren(stop, left, rail);
    stop.focus();
    this.tell(`Recording. It ends by itself after ${this.data.seconds} s.`);
    const tick = () => {
      const gone = (performance.now() - this.began) / 1000;
      left.textContent = `${Math.max(0, Math.ceil(this.data.seconds - gone))} s left`;
      rail.style.setProperty("--gone", Math.min(1, gone / this.data.seconds).toFixed(3));
      if (gone >= this.data.seconds) this.stop();
    };
    tick();
    this.clock = setInterval(tick, 100);
    return undefined;
  }

  stop() {
    if (this.media?.state !== "recording" || performance.now() - this.began < SHORTEST_MS) return;
    clearInterval(this.clock);
    this.seconds = (performance.now() - this.began) / 1000;
    this.media.stop();
  }

  // ---- review: nothing was sent yet

  review(blob) {
    if (this.isClosed) return;
    this.release();
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = URL.createObjectURL(blob);
    const player = make(this.wanted.video ? "video" : "audio");
    Object.assign(player, { controls: true, playsInline: true, src: this.address });
    player.setAttribute("aria-label", "Your recording");
    const megabytes = blob.size / 1e6;
    const use = this.button("Use this clip", "primary", () => this.use(blob, use, again));
    const again = this.button("Record again", "", () => { this.discard(); this.consent(); this.open(); });
    const drop = this.button("Discard", "", () => { this.discard(); this.tell("Discarded."); this.consent(); });
    this.scene([player], [use, again, drop]);
    this.tell(`${this.seconds.toFixed(1)} s, ${megabytes.toFixed(1)} MB. The camera is off; nothing has left your browser yet.`);
    if (!blob.size || megabytes > this.data.megabytes) {
      use.disabled = true;
      this.complain(blob.size
        ? `The recording has ${megabytes.toFixed(1)} MB, more than the ${this.data.megabytes} MB allowed; record a shorter one.`
        : "Nothing was recorded; check camera and microphone, and record again.");
    } else use.focus();
  }

  discard() {
    URL.revokeObjectURL(this.address);
    this.address = null;
  }

  async use(blob, ...buttons) {
    for (const button of buttons) button.disabled = true;
    this.tell("Handing the clip over …");
    const reader = new FileReader();
    // the MIME type may hold a comma too
    reader.onload = () => this.send({ kind: blob.type, base64: reader.result.slice(reader.result.lastIndexOf(",") + 1) });
    reader.onerror = () => this.complain("The recording could not be read; record it again.");
    reader.readAsDataURL(blob);
  }

  // ---- parts

  scene(parts, buttons) {
    const screen = make("div", "screen");
    screen.append(...parts);
    this.controls = make("div", "row");
    this.controls.append(...buttons);
    this.stage.replaceChildren(screen, this.controls);
  }

  button(text, kind, act) {
    const button = make("button", kind);
    button.type = "button";
    button.textContent = text;
    button.onclick = act;
    return button;
  }

  box(text, isOn) {
    const label = make("label");
    const input = make("input");
    Object.assign(input, { type: "checkbox", checked: isOn });
    label.append(input, text);
    return input;
  }
}

function namesOf({ video, audio }) {
  return [video && "camera", audio && "microphone"].filter(Boolean).join(" and ");
}

function whyImpossible() {
  if (!window.isSecureContext) {
    return `Browsers open camera and microphone only over https or on this machine itself, and this page came from ${location.origin}: `
      + "open it over https, or as http://localhost on the machine that runs the app.";
  }
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
    return "This browser cannot record; use a current Firefox, Chrome, Edge or Safari, or give a file of your own.";
  }
  return "";
}

async function whyRefused(error, wanted) {
  const names = namesOf(wanted);
  const several = wanted.video && wanted.audio;
  if (error.name === "NotAllowedError" || error.name === "SecurityError") {
    return `The browser was not allowed to use ${names}; allow ${several ? "them" : "it"} beside the page’s address, then open ${several ? "them" : "it"} again.`;
  }
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") {
    const found = new Set((await navigator.mediaDevices.enumerateDevices().catch(() => [])).map((device) => device.kind));
    const missing = namesOf({ video: wanted.video && !found.has("videoinput"), audio: wanted.audio && !found.has("audioinput") }) || names;
    const without = missing === "camera" ? "the picture" : "the sound";
    const instead = several && missing !== names ? `, or untick ${without} above` : "";
    return `No ${missing.replace(" and ", " and no ")} was found; connect ${missing.includes(" and ") ? "them" : "one"}${instead}.`;
  }
  if (error.name === "NotReadableError" || error.name === "AbortError") {
    return `The ${names} could not be started, mostly because another program uses ${several ? "them" : "it"}; close that one and try again.`;
  }
  return `The ${names} could not be opened (${error.name}); try another browser, or give a file of your own.`;
}

function make(tag, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  return element;
}
