/* The diagram: stacks of layers, folded blocks, arrows; pan, zoom, minimap. */

const ROW = { height: 40, slim: 24, pad: 14, least: 120 };
const view = { x: 0, y: 0, scale: 1, width: 1, height: 1 };
const canvas = document.getElementById("canvas");
const minimap = document.getElementById("minimap");
const pen = document.createElement("canvas").getContext("2d");
let boxes = []; // of the diagram as it stands: { layers, block, x, y, width, height }

function textWidth(text, font) {
  pen.font = font;
  return pen.measureText(text).width;
}

/** The boxes to draw: a stack is a layer with those that write over it in place, behind it. */
function makeBoxes() {
  const found = [];
  const boxOf = new Map(); // layer → box
  for (const [index, layer] of state.net.layers.entries()) {
    if (!isShown(layer)) continue;
    const block = blockOf(index);
    if (block >= 0 && state.folded.has(block)) {
      const last = found.at(-1);
      if (last?.block === block) last.layers.push(index);
      else found.push({ layers: [index], block });
    } else {
      const below = layer.inPlace ? producerOf(index) : -1;
      const box = below >= 0 ? found[boxOf.get(below)] : undefined;
      if (box && box.block < 0 && box.layers.at(-1) === below) box.layers.push(index);
      else found.push({ layers: [index], block: -1 });
      if (box?.layers.at(-1) === index) {
        boxOf.set(index, boxOf.get(below));
        continue;
      }
    }
    boxOf.set(index, found.length - 1);
  }
  return { found, boxOf };
}

function producerOf(index) {
  const edge = state.net.edges.find((each) => each.to === index);
  return edge ? edge.from : -1;
}

function rowTexts(layer) {
  const counts = layer.count ? ` · ${countText(layer.count)}` : "";
  return { name: layer.name || layer.type, facts: `${layer.type}${counts}` };
}

function blockTexts(box) {
  const layers = box.layers.map((i) => state.net.layers[i]);
  const count = layers.reduce((sum, layer) => sum + layer.count, 0);
  const facts = `${layers.length} layers${count ? ` · ${countText(count)}` : ""}`;
  return { name: `⊞ ${state.net.blocks[box.block].name}`, facts };
}

function isSlim(layer) {
  return layer.inPlace || layer.family === "neuron";
}

function measure(box) {
  const rows =
    box.block >= 0 ? [blockTexts(box)] : box.layers.map((i) => rowTexts(state.net.layers[i]));
  const font = getComputedStyle(document.body).fontFamily;
  const slim = box.block >= 0 ? [false] : box.layers.map((i) => isSlim(state.net.layers[i]));
  box.width = Math.max(
    ROW.least,
    ...rows.map((row, i) => {
      const name = textWidth(row.name, `600 13px ${font}`);
      const facts = textWidth(row.facts, `11px ${font}`);
      return 2 * ROW.pad + (slim[i] ? name + facts + 10 : Math.max(name, facts));
    }),
  );
  box.heights = slim.map((is) => (is ? ROW.slim : ROW.height));
  box.height = box.heights.reduce((a, b) => a + b, 0);
}

function drawDiagram() {
  const { found, boxOf } = makeBoxes();
  found.forEach(measure);
  const ends = new Map(); // "from to" → edges of the net
  for (const edge of state.net.edges) {
    if (edge.to === null || !boxOf.has(edge.from) || !boxOf.has(edge.to)) continue;
    const pair = [boxOf.get(edge.from), boxOf.get(edge.to)];
    if (pair[0] === pair[1]) continue;
    const key = pair.join(" ");
    if (!ends.has(key)) ends.set(key, { pair, edges: [] });
    ends.get(key).edges.push(edge);
  }
  const joined = [...ends.values()];
  const placed = placeBoxes(
    found,
    joined.map((each) => each.pair),
  );
  boxes = found.map((box, i) => ({ ...box, ...placed.places[i] }));
  view.width = placed.width;
  view.height = placed.height;
  const inner = element("g", { id: "world" });
  for (const [i, each] of joined.entries()) inner.append(drawEdge(each, placed.ways[i]));
  for (const box of boxes) inner.append(box.block >= 0 ? drawBlock(box) : drawStack(box));
  canvas.replaceChildren(inner);
  drawMinimap();
  applyView();
  markChosen();
}

function drawEdge({ edges, pair }, way) {
  const shapes = [...new Set(edges.map((edge) => edge.shape).filter(Boolean))];
  const isPartial = edges.every((edge) => edge.phases.length < state.net.phases.length);
  const group = element("g", { "data-from": pair[0], "data-to": pair[1] });
  group.append(element("path", { class: isPartial ? "edge partial" : "edge", d: wayPath(way) }));
  const [x, y] = way.at(-1);
  group.append(element("path", { class: "arrow", d: `M${x} ${y}l-3.5 -7h7z` }));
  if (state.net.hasShapes && shapes.length && way.length === 2) {
    const at = { class: "label", x: way[1][0] + 7, y: way[1][1] - 9 };
    group.append(element("text", at, shapes.join(", ")));
  }
  return group;
}

function wayPath(way) {
  let path = `M${way[0][0]} ${way[0][1]}`;
  for (let i = 1; i < way.length; i++) {
    const [x0, y0] = way[i - 1];
    const [x1, y1] = way[i];
    const end = i === way.length - 1 ? y1 - 5 : y1;
    const middle = (y0 + end) / 2;
    path += x0 === x1 ? `L${x1} ${end}` : `C${x0} ${middle} ${x1} ${middle} ${x1} ${end}`;
  }
  return path;
}

function drawStack(box) {
  const stack = element("g", { transform: `translate(${box.x} ${box.y})` });
  let y = 0;
  box.layers.forEach((index, at) => {
    const layer = state.net.layers[index];
    const shape = layer.tops.length ? shapeText(layer.tops[0][1]) : "";
    const row = element("g", {
      class: `row f-${layer.family}`,
      transform: `translate(0 ${y})`,
      "data-layer": index,
      tabindex: "0",
      role: "button",
      "aria-label": [layer.name, layer.type, layer.facts, shape].filter(Boolean).join(", "),
      onclick: () => choose(index),
      onfocus: () => choose(index),
    });
    const height = box.heights[at];
    row.append(element("rect", { width: box.width, height, rx: 6 }));
    const { name, facts } = rowTexts(layer);
    if (height === ROW.slim) {
      row.append(element("text", { class: "name", x: ROW.pad, y: 16 }, name));
      const end = { class: "facts", x: box.width - ROW.pad, y: 16, "text-anchor": "end" };
      row.append(element("text", end, facts));
    } else {
      const middle = { x: box.width / 2, "text-anchor": "middle" };
      row.append(element("text", { ...middle, class: "name", y: 17 }, name));
      row.append(element("text", { ...middle, class: "facts", y: 32 }, facts));
    }
    if (layer.phases.length < state.net.phases.length) {
      row.append(
        element("text", { class: "tag", x: box.width + 4, y: 11 }, layer.phases.join(" ")),
      );
    }
    stack.append(row);
    y += height;
  });
  return stack;
}

function drawBlock(box) {
  const { name, facts } = blockTexts(box);
  const open = () => {
    setFolded(box.block, false);
    choose(box.layers[0]);
  };
  const block = element("g", {
    class: "block",
    transform: `translate(${box.x} ${box.y})`,
    "data-block": box.block,
    tabindex: "0",
    role: "button",
    "aria-expanded": "false",
    "aria-label": `${name}, ${facts}`,
    onclick: open,
    onkeydown: (event) => event.key === "Enter" && open(),
  });
  block.append(element("rect", { x: 4, y: 4, width: box.width, height: box.height, rx: 6 }));
  block.append(element("rect", { width: box.width, height: box.height, rx: 6 }));
  const middle = { x: box.width / 2, "text-anchor": "middle" };
  block.append(element("text", { ...middle, class: "name", y: 17 }, name));
  block.append(element("text", { ...middle, class: "facts", y: 32 }, facts));
  return block;
}

function markChosen() {
  const at = boxes.findIndex((box) => box.layers.includes(state.chosen));
  for (const row of canvas.querySelectorAll(".row")) {
    row.classList.toggle("chosen", Number(row.dataset.layer) === state.chosen);
  }
  for (const edge of canvas.querySelectorAll("[data-from]")) {
    const touches = at >= 0 && [edge.dataset.from, edge.dataset.to].includes(String(at));
    edge.firstChild.classList.toggle("lit", touches);
  }
}

/** Moves the view so that the selected layer is in it. */
function showChosen() {
  const box = boxes.find((each) => each.layers.includes(state.chosen));
  if (!box) return;
  const { width, height } = canvas.getBoundingClientRect();
  const x = box.x * view.scale + view.x;
  const y = box.y * view.scale + view.y;
  const margin = 30;
  if (x < margin || x + box.width * view.scale > width - margin) {
    view.x = width / 2 - (box.x + box.width / 2) * view.scale;
  }
  if (y < margin || y + box.height * view.scale > height - margin) {
    view.y = height / 2 - (box.y + box.height / 2) * view.scale;
  }
  applyView();
}

/** The whole net, but never smaller than can be read: then its upper end. */
function fit() {
  const { width, height } = canvas.getBoundingClientRect();
  const margin = 24;
  const across = (width - 2 * margin) / Math.max(1, view.width);
  const whole = Math.min(across, (height - 2 * margin) / Math.max(1, view.height), 1);
  view.scale = Math.max(whole, Math.min(across, 0.8, 1));
  view.x = (width - view.width * view.scale) / 2;
  view.y = Math.max(margin, (height - view.height * view.scale) / 2);
  applyView();
}

function zoom(factor, x, y) {
  const scale = Math.min(4, Math.max(0.05, view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  applyView();
}

function zoomMiddle(factor) {
  const { width, height } = canvas.getBoundingClientRect();
  zoom(factor, width / 2, height / 2);
}

function applyView() {
  const world = document.getElementById("world");
  if (!world) return;
  world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  const { width, height } = canvas.getBoundingClientRect();
  const fits = view.width * view.scale <= width && view.height * view.scale <= height;
  minimap.toggleAttribute("hidden", fits);
  const frame = minimap.querySelector(".window");
  if (!frame) return;
  frame.setAttribute("x", -view.x / view.scale);
  frame.setAttribute("y", -view.y / view.scale);
  frame.setAttribute("width", width / view.scale);
  frame.setAttribute("height", height / view.scale);
}

function drawMinimap() {
  const parts = boxes.map((box) => {
    const family = box.block >= 0 ? "shape" : state.net.layers[box.layers[0]].family;
    const { x, y, width, height } = box;
    return element("g", { class: `row f-${family}` }, element("rect", { x, y, width, height }));
  });
  minimap.setAttribute("viewBox", `-20 -20 ${view.width + 40} ${view.height + 40}`);
  minimap.replaceChildren(...parts, element("rect", { class: "window" }));
}

function watchCanvas() {
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    from = {
      x: event.clientX - view.x,
      y: event.clientY - view.y,
      id: event.pointerId,
      moved: false,
    };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const dx = event.clientX - from.x - view.x;
    const dy = event.clientY - from.y - view.y;
    if (!from.moved && Math.hypot(dx, dy) < 4) return;
    if (!from.moved) canvas.setPointerCapture(from.id);
    from.moved = true;
    canvas.classList.add("dragged");
    view.x += dx;
    view.y += dy;
    applyView();
  });
  const end = () => {
    from = null;
    canvas.classList.remove("dragged");
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { left, top } = canvas.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY / 400), event.clientX - left, event.clientY - top);
    },
    { passive: false },
  );
  minimap.addEventListener("pointerdown", (event) => {
    const matrix = minimap.getScreenCTM();
    const size = canvas.getBoundingClientRect();
    view.x = size.width / 2 - ((event.clientX - matrix.e) / matrix.a) * view.scale;
    view.y = size.height / 2 - ((event.clientY - matrix.f) / matrix.d) * view.scale;
    applyView();
  });
  new ResizeObserver(applyView).observe(canvas);
}
