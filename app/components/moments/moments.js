// Plays the frames of a chart that Streamlit draws, by pressing the hidden buttons that Plotly has for them.

// the chart is drawn about when this is, and now and then anew
const LOOK_MILLISECONDS = 300;

function render(component) {
  const root = component.parentElement.querySelector(".moments");
  const given = JSON.stringify(component.data.words);
  root._data = component.data;
  if (root._given !== given) {
    root._given = given;
    build(root);
  }
  root._timer ??= setInterval(() => {
    if (root.isConnected) look(root);
    else leave(root);
  }, LOOK_MILLISECONDS);
  look(root);
}

function build(root) {
  stop(root);
  const { words, slider } = root._data;
  root.innerHTML = '<button type="button"></button><input type="range" min="0" step="1"><output aria-live="off"></output>';
  const [button, range] = root.children;
  range.max = words.length - 1;
  range.setAttribute("aria-label", slider);
  button.addEventListener("click", () => (root._playing ? stop(root) : play(root)));
  range.addEventListener("input", () => {
    stop(root);
    show(root, Number(range.value));
  });
  stop(root);
  tell(root, words.length - 1);
}

// a chart that was drawn anew shows its last frame
function look(root) {
  const chart = document.querySelector(`.st-key-${CSS.escape(root._data.chart)} .js-plotly-plot`);
  if (!chart?.on || chart === root._chart) return;
  root._chart = chart;
  stop(root);
  tell(root, root._data.words.length - 1);
}

function play(root) {
  const { words, stay } = root._data;
  let place = Number(root.children[1].value);
  // from the start, where it is at the end
  if (place === words.length - 1) place = -1;
  const step = () => {
    if (!root.isConnected) return leave(root);
    place += 1;
    show(root, place);
    if (place === words.length - 1) stop(root);
  };
  root._playing = setInterval(step, stay);
  label(root);
  step();
}

function stop(root) {
  clearInterval(root._playing);
  root._playing = null;
  label(root);
}

function leave(root) {
  stop(root);
  clearInterval(root._timer);
  root._timer = null;
}

function label(root) {
  const [button] = root.children;
  if (button) button.textContent = root._playing ? "❚❚ Pause" : "▶ Play";
}

function show(root, place) {
  const buttons = root._chart?.querySelectorAll(".updatemenu-button") ?? [];
  buttons[place]?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  tell(root, place);
}

function tell(root, place) {
  const words = root._data.words[place];
  const [, range, said] = root.children;
  range.value = place;
  range.setAttribute("aria-valuetext", words);
  if (said.textContent !== words) said.textContent = words;
}
