// The charts of the overview, drawn by Plotly from the data that the page came with.
"use strict";

const data = JSON.parse(document.getElementById("charts").textContent);

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function layout(title, more) {
  const text = colour("--text");
  const grid = colour("--line");
  const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true };
  return {
    title: { text: title, font: { size: 14 } },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: 12 },
    margin: { l: 45, r: 45, t: 40, b: 40 },
    legend: { orientation: "h", y: -0.2 },
    hovermode: "x unified",
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
    ...(more.yaxis2 && { yaxis2: { ...axis, ...more.yaxis2 } }),
  };
}

const options = { displayModeBar: false, responsive: true };
const hours = (seconds) => (seconds === null ? null : seconds / 3600);

function draw() {
  const { trend, timeline } = data;
  const axis = trend.grain === "month" ? { tickformat: "%b %Y", dtick: trend.period.length > 12 ? "M3" : "M1" } : {};
  Plotly.react(
    "cfr-chart",
    [
      { type: "bar", name: "Deployments", x: trend.period, y: trend.deployments, marker: { color: colour("--soft") } },
      { type: "bar", name: "Change failures", x: trend.period, y: trend.change_failures, marker: { color: colour("--bad") }, opacity: 0.6 },
      { type: "scatter", mode: "lines+markers", name: "Change failure rate", x: trend.period, y: trend.cfr, yaxis: "y2", line: { color: colour("--accent") } },
    ],
    layout("Change failure rate", {
      barmode: "overlay",
      xaxis: axis,
      yaxis: { side: "right", showgrid: false, rangemode: "tozero", tickformat: "d", nticks: 5 },
      yaxis2: { overlaying: "y", side: "left", tickmode: "auto", nticks: 6, tickformat: ".1~%", rangemode: "tozero" },
    }),
    options,
  );
  Plotly.react(
    "mttr-chart",
    [
      { type: "scatter", mode: "lines+markers", name: "Attributed to a deployment", x: trend.period, y: trend.mttr.map(hours), line: { color: colour("--accent") } },
      { type: "scatter", mode: "lines+markers", name: "All incidents", x: trend.period, y: trend.mttr_all.map(hours), line: { color: colour("--muted"), dash: "dot" } },
    ],
    layout("Mean time to recover, in hours", { xaxis: axis, yaxis: { ticksuffix: " h", rangemode: "tozero" } }),
    options,
  );
  if (!document.getElementById("timeline-chart")) return;
  const deployments = (bad) => timeline.filter((mark) => mark.kind === "deployment" && mark.is_bad === bad);
  const incidents = timeline.filter((mark) => mark.kind === "incident");
  const now = new Date().toISOString();
  const titleOf = (mark) => mark.title ?? mark.id;
  const marks = (name, found, symbol, color) => ({
    type: "scatter",
    mode: "markers",
    name,
    x: found.map((mark) => mark.at),
    y: found.map(() => "Deployments"),
    text: found.map((mark) => `${mark.id} ${mark.title ?? ""}`),
    hoverinfo: "x+text",
    marker: { symbol, size: 11, color },
  });
  Plotly.react(
    "timeline-chart",
    [
      marks("Deployment", deployments(false), "triangle-up", colour("--good")),
      marks("Change failure", deployments(true), "triangle-down", colour("--bad")),
      {
        type: "scatter",
        mode: "lines+markers",
        name: "Incident, opened to recovered",
        // A line each: null ends it. One whose end is unknown is a dot.
        x: incidents.flatMap((mark) => [mark.at, mark.until ?? (mark.is_open ? now : null), null]),
        y: incidents.flatMap(() => ["Incidents", "Incidents", null]),
        text: incidents.flatMap((mark) => [`${titleOf(mark)} opened${mark.until || mark.is_open ? "" : "; its recovery time is unknown"}`, `${titleOf(mark)} ${mark.until ? "recovered" : "is open"}`, null]),
        hoverinfo: "x+text",
        line: { color: colour("--warn"), width: 6 },
        marker: { size: 8, color: colour("--warn") },
      },
    ],
    layout("", { hovermode: "closest", margin: { l: 90, r: 20, t: 10, b: 40 }, yaxis: { categoryorder: "array", categoryarray: ["Incidents", "Deployments"], range: [-0.5, 1.5] } }),
    options,
  );
}

draw();
document.addEventListener("themechange", draw);
