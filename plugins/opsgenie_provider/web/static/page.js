// What the pages do without charts: Airflow's colours, local times, links out of the frame, the chart of on-call.
"use strict";

function theme() {
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme"); // where Airflow's own switch keeps it
  } catch {
    // No storage for this page: the system's colours, then.
  }
  if (chosen !== "dark" && chosen !== "light") {
    chosen = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  if (document.documentElement.dataset.theme !== chosen) {
    document.documentElement.dataset.theme = chosen;
    document.dispatchEvent(new Event("themechange"));
  }
}

theme();
addEventListener("storage", theme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);

document.addEventListener("mouseover", (event) => {
  const time = event.target.closest?.("time[datetime]:not([title])");
  if (time) {
    const local = new Date(time.dateTime);
    time.title = local.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
  }
});

// Airflow shows this page in a frame that may not open windows itself.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[target=_blank]");
  if (link && window.parent !== window) {
    event.preventDefault();
    window.parent.open(link.href, "_blank", "noopener,noreferrer");
  }
});

document.addEventListener("DOMContentLoaded", () => {
  const hues = new Map();
  for (const element of document.querySelectorAll("[data-left]")) {
    element.style.left = `${element.dataset.left}%`;
    if (element.dataset.width) element.style.width = `${element.dataset.width}%`;
    if (element.dataset.who) {
      if (!hues.has(element.dataset.who)) hues.set(element.dataset.who, (hues.size * 137) % 360);
      element.style.setProperty("--hue", hues.get(element.dataset.who));
    }
  }
});
