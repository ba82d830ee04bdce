/* The page: its header, keys, theme, faults, and a new net when the file has changed. */

const search = document.getElementById("search");

function drawHeader() {
  document.getElementById("title").textContent = state.net.name;
  document.getElementById("totals").textContent = state.net.totals;
  document.getElementById("left-out").textContent = state.net.leftOut ?? "";
  const phases = document.getElementById("phases");
  const names = state.net.phases.length > 1 ? ["", ...state.net.phases] : [];
  phases.replaceChildren(
    ...names.map((name) => {
      const attributes = { type: "button", "aria-pressed": String(state.phase === name) };
      attributes.onclick = () => {
        state.phase = name;
        changed("phase");
      };
      return element("button", attributes, name || "Both");
    }),
  );
  const fold = document.getElementById("fold");
  fold.hidden = state.net.blocks.length === 0;
  fold.setAttribute("aria-pressed", String(state.folded.size > 0));
}

function drawFaults(found, text) {
  const panel = document.getElementById("faults");
  const errors = found.filter((fault) => fault.severity === "error");
  const others = found.filter((fault) => fault.severity !== "error");
  panel.hidden = found.length === 0;
  panel.replaceChildren();
  if (errors.length) panel.append(element("div", { class: "errors" }, ...errors.map(faultLine)));
  if (others.length) {
    const title = others.length === 1 ? "1 warning" : `${others.length} warnings`;
    panel.append(element("details", {}, element("summary", {}, title), ...others.map(faultLine)));
  }
  if (text !== undefined && text !== state.net.source) {
    // the text as it stands now, with the last net that was right beside it
    state.net.source = text;
    drawSource();
  }
  for (const item of source.querySelectorAll(".error, .warning")) {
    item.classList.remove("error", "warning");
  }
  for (const fault of found) lineItem(fault.line)?.classList.add(fault.severity);
}

function faultLine(fault) {
  const line = element("p");
  if (fault.line) {
    const jump = () => lineItem(fault.line)?.scrollIntoView({ block: "center" });
    line.append(element("button", { type: "button", onclick: jump }, `line ${fault.line}`), ": ");
  }
  line.append(`${fault.severity}: ${fault.message}`);
  if (fault.hint) line.append(" ", element("small", {}, fault.hint));
  return line;
}

function lineItem(line) {
  return source.querySelector(`[data-line="${line}"]`);
}

function drawAll() {
  drawHeader();
  drawDiagram();
  drawInspector();
  drawTable();
  drawSource();
}

onChange((what) => {
  if (what === "chosen") {
    const block = blockOf(state.chosen);
    if (state.folded.has(block)) return setFolded(block, false);
    markChosen();
    showChosen();
    drawInspector();
    markRow();
    markLines(true);
  } else if (what === "folded") {
    drawHeader();
    drawDiagram();
    showChosen();
    drawInspector();
    markRow();
    markLines(true);
  } else {
    drawAll();
    fit();
  }
});

function searchLayers() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (layer) =>
    words.every((word) => `${layer.name} ${layer.type}`.toLowerCase().includes(word));
  for (const row of canvas.querySelectorAll(".row")) {
    row.classList.toggle(
      "faint",
      words.length > 0 && !matches(state.net.layers[row.dataset.layer]),
    );
  }
  return state.net.layers
    .map((_, i) => i)
    .filter((i) => isShown(state.net.layers[i]) && matches(state.net.layers[i]));
}

search.addEventListener("input", searchLayers);
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    const found = searchLayers();
    if (search.value && found.length)
      choose(found[(found.indexOf(state.chosen) + 1) % found.length]);
  } else if (event.key === "Escape") {
    search.value = "";
    searchLayers();
    search.blur();
    event.stopPropagation();
  }
});

/** The next layer along the data, against it, or beside it. */
function walk(key) {
  const edges = state.net.edges.filter(
    (edge) =>
      edge.to !== null &&
      isShown(state.net.layers[edge.from]) &&
      isShown(state.net.layers[edge.to]),
  );
  const next = (own, other) =>
    edges.filter((edge) => edge[own] === state.chosen).map((edge) => edge[other]);
  if (state.chosen < 0) return state.net.layers.findIndex(isShown);
  if (key === "ArrowDown") return Math.min(...next("from", "to"));
  if (key === "ArrowUp") return next("to", "from")[0];
  const parent = next("to", "from")[0];
  const beside = [
    ...new Set(edges.filter((edge) => edge.from === parent).map((edge) => edge.to)),
  ].sort((a, b) => a - b);
  const at = beside.indexOf(state.chosen) + (key === "ArrowRight" ? 1 : -1);
  return beside[at];
}

document.addEventListener("keydown", (event) => {
  if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = {
    "/": () => search.focus(),
    Escape: chooseBack,
    f: fit,
    "+": () => zoomMiddle(1.25),
    "-": () => zoomMiddle(0.8),
  };
  if (event.key.startsWith("Arrow") && !event.target.closest("#source, #layers")) {
    const index = walk(event.key);
    if (Number.isFinite(index) && index >= 0) {
      choose(index);
      canvas.querySelector(`[data-layer="${index}"]`)?.focus({ preventScroll: true });
    }
    event.preventDefault();
  } else if (actions[event.key]) {
    actions[event.key]();
    event.preventDefault();
  }
});

document.getElementById("fit").addEventListener("click", fit);
document.getElementById("zoom-in").addEventListener("click", () => zoomMiddle(1.25));
document.getElementById("zoom-out").addEventListener("click", () => zoomMiddle(0.8));
document.getElementById("fold").addEventListener("click", () => {
  state.folded = new Set(state.folded.size ? [] : state.net.blocks.keys());
  drawHeader();
  drawDiagram();
  fit();
});
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
});
window.addEventListener("hashchange", chooseFromAddress);

/** Asks the server that the page came from for the net, each time that its file is saved. */
function watchFile() {
  const events = new EventSource("events");
  events.addEventListener("message", async () => {
    const answer = await (await fetch("net.json")).json();
    if (answer.net) {
      const hadFaults = !document.getElementById("faults").hidden;
      readNet(answer.net);
      drawAll();
      if (!hadFaults) showChosen();
    }
    drawFaults(answer.faults, answer.text);
  });
}

const data = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
document.documentElement.dataset.theme = data.theme || (dark.matches ? "dark" : "light");
readNet(data);
watchCanvas();
drawAll();
fit();
drawFaults(data.faults ?? []);
chooseFromAddress();
if (data.live) watchFile();
document.documentElement.dataset.ready = String(Math.round(performance.now())); // milliseconds
