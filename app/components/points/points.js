// Listens to the clicks of a chart that Streamlit draws. Where clicks select, Streamlit tells of them itself.

// the chart is drawn after this, and now and then anew
const LOOK_MILLISECONDS = 300;

function render(component) {
  const root = component.parentElement.querySelector(".points");
  root._key = component.data.chart;
  root._send = (row) => component.setTriggerValue("pick", row);
  root._free = () => component.setTriggerValue("free", true);
  root._timer ??= setInterval(() => {
    if (root.isConnected) listen(root);
    else clearInterval(root._timer);
  }, LOOK_MILLISECONDS);
  listen(root);
}

function listen(root) {
  const chart = document.querySelector(`.st-key-${root._key} .js-plotly-plot`);
  if (!chart?.on || chart._heardBy === root) return;
  chart._heardBy = root;
  chart.on("plotly_click", ({ points }) => {
    const row = points[0]?.customdata?.[0];
    if (row === undefined || !root.isConnected || chart._fullLayout.clickmode.includes("select")) return;
    root._send(row);
  });
  chart.on("plotly_doubleclick", () => root.isConnected && root._free());
}
