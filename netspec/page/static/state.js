/* What the page knows and shows: the net's data, what is selected, which blocks are open. */

const state = {
  net: null, // describe.py's object
  phase: "", // "" for all
  chosen: -1, // index of the selected layer
  trail: [], // layers selected before, for Escape
  folded: new Set(), // indices of blocks
  sort: { column: "", down: true },
};

const listeners = [];

/** Calls a function whenever what is shown has changed: "net", "phase", "folded", "chosen". */
function onChange(listener) {
  listeners.push(listener);
}

function changed(what) {
  for (const listener of listeners) {
    listener(what);
  }
}

function readNet(net) {
  const before = state.net === null ? null : state.net.layers[state.chosen]?.name;
  state.net = net;
  if (!net.phases.includes(state.phase)) state.phase = "";
  if (before === null) state.folded = new Set(net.folded ? net.blocks.keys() : []);
  else state.folded = new Set([...state.folded].filter((block) => block < net.blocks.length));
  state.chosen = before ? net.layers.findIndex((layer) => layer.name === before) : -1;
  state.trail = [];
}

function choose(index, keepTrail = true) {
  if (index === state.chosen) return;
  if (keepTrail && state.chosen >= 0) state.trail.push(state.chosen);
  state.chosen = index;
  const name = index >= 0 ? `#${encodeURIComponent(state.net.layers[index].name)}` : " ";
  history.replaceState(null, "", name);
  changed("chosen");
}

function chooseBack() {
  choose(state.trail.length ? state.trail.pop() : -1, false);
}

function chooseFromAddress() {
  let name = "";
  try {
    name = decodeURIComponent(location.hash.slice(1));
  } catch {
    return; // a fragment that is no text
  }
  const index = state.net.layers.findIndex((layer) => layer.name === name);
  if (index >= 0) choose(index);
}

function isShown(layer) {
  return state.phase === "" || layer.phases.includes(state.phase);
}

function blockOf(index) {
  return state.net.blocks.findIndex((block) => block.start <= index && index < block.end);
}

function setFolded(block, isFolded) {
  if (isFolded) state.folded.add(block);
  else state.folded.delete(block);
  changed("folded");
}

/** 34944 → "34.9 k" */
function countText(count) {
  if (count < 10000) return count.toLocaleString("en");
  let value = count;
  let unit = "";
  for (const bigger of ["k", "M", "G", "T"]) {
    if (value < 999.5) break;
    value /= 1000;
    unit = bigger;
  }
  return `${Number(value.toPrecision(3))} ${unit}`;
}

function bytesText(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log(bytes) / Math.log(1024)), units.length);
  return `${Number((bytes / 1024 ** power).toPrecision(3))} ${units[power - 1]}`;
}

function shapeText(shape) {
  if (shape === null) return "unknown";
  return shape.length ? shape.join("×") : "scalar";
}

/** An element with attributes, properties of its events, and children that are elements or text. */
function element(name, attributes = {}, ...children) {
  const isSvg = ["svg", "g", "rect", "path", "text", "title", "line"].includes(name);
  const made = isSvg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}
