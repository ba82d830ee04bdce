/* The inspector: what is known of the selected layer. */

const inspector = document.getElementById("inspector");

function drawInspector() {
  const layer = state.net.layers[state.chosen];
  if (!layer) {
    const hint =
      "Select a layer: click it, or search with /. Arrows go along the data, Escape goes back.";
    inspector.replaceChildren(element("p", { class: "what" }, hint));
    return;
  }
  inspector.replaceChildren(
    element("h2", {}, layer.name || layer.type),
    element("p", { class: "what" }, layer.what ? `${layer.type}: ${layer.what}` : layer.type),
    ...blobLists(layer),
    costList(layer),
    ...paramList(layer),
    ...fieldList(layer),
    ...pictures("Weights", layer.weights),
    ...pictures("What it makes of the image", layer.maps),
  );
}

function section(title, ...children) {
  return [element("h3", {}, title), ...children];
}

function pairs(entries) {
  const list = element("dl");
  for (const [term, value] of entries)
    list.append(element("dt", {}, term), element("dd", {}, value));
  return list;
}

const AXES = { 1: "N", 2: "N×C", 3: "N×C×L", 4: "N×C×H×W", 5: "N×C×D×H×W" };

function blobLists(layer) {
  const text = (shape) => {
    const axes = shape?.length ? AXES[shape.length] : undefined;
    return axes ? `${shapeText(shape)}  (${axes})` : shapeText(shape);
  };
  const rows = (blobs) => pairs(blobs.map(([name, shape]) => [name, text(shape)]));
  const parts = [];
  if (layer.bottoms.length)
    parts.push(...section("Input", rows(layer.bottoms), neighbours("to", "from")));
  if (layer.tops.length)
    parts.push(...section("Output", rows(layer.tops), neighbours("from", "to")));
  return parts;
}

/** Buttons to the layers at the other end of the layer's arrows. */
function neighbours(own, other) {
  const found = new Set(
    state.net.edges
      .filter((edge) => edge[own] === state.chosen && edge[other] !== null)
      .map((edge) => edge[other]),
  );
  const buttons = [...found].map((index) =>
    element(
      "button",
      { type: "button", onclick: () => choose(index) },
      state.net.layers[index].name,
    ),
  );
  return element("p", { class: "links" }, ...buttons);
}

function costList(layer) {
  const entries = [];
  if (layer.count) entries.push(["Parameters", layer.count.toLocaleString("en")]);
  if (layer.macs) entries.push(["Multiply-adds an item", layer.macs.toLocaleString("en")]);
  if (layer.bytes) entries.push(["Memory of its output an item", bytesText(layer.bytes)]);
  entries.push(...layer.costs);
  if (layer.phases.length < state.net.phases.length)
    entries.push(["Phase", layer.phases.join(", ")]);
  for (const [first, last] of layer.lines) {
    entries.push(["Lines", first === last ? String(first) : `${first}–${last}`]);
  }
  return pairs(entries);
}

function paramList(layer) {
  if (!layer.params.length) return [];
  return section(
    "Params",
    pairs(
      layer.params.map((param, i) => [
        String(i),
        param.owner
          ? `${param.shape}, shared with ${param.owner}`
          : `${param.shape}, lr_mult ${param.lr}, decay_mult ${param.decay}`,
      ]),
    ),
  );
}

function fieldList(layer) {
  if (!layer.fields.length) return [];
  return section(
    "Fields",
    ...layer.fields.map((field) => {
      const standard =
        field.default && field.default !== field.value ? ` Default ${field.default}.` : "";
      const meaning = field.meaning.replace(/\s*Default \S+\.$/, "");
      return element(
        "div",
        { class: "field" },
        element("code", {}, `${field.path}: ${field.value}`),
        element("p", {}, meaning + standard),
      );
    }),
  );
}

/** Numbers, histograms and images that the page was given for the layer. */
function pictures(title, found) {
  if (!found?.length) return [];
  return section(
    title,
    ...found.map((each) => {
      const figure = element("figure");
      if (each.caption) figure.append(element("figcaption", {}, each.caption));
      if (each.histogram) figure.append(histogram(each.histogram, each.low, each.high));
      if (each.image) {
        const image = element("img", { src: each.image, alt: each.alt, title: "Click to enlarge" });
        image.addEventListener("click", () => image.classList.toggle("large"));
        figure.append(image);
      }
      return figure;
    }),
  );
}

function histogram(counts, low, high) {
  const most = Math.max(...counts, 1);
  const label = `Histogram from ${low} to ${high}`;
  const chart = element("svg", {
    class: "histogram",
    viewBox: `0 0 ${counts.length * 6} 40`,
    width: "100%",
    height: 60,
    role: "img",
    "aria-label": label,
    preserveAspectRatio: "none",
  });
  counts.forEach((count, i) => {
    const height = (40 * count) / most;
    chart.append(element("rect", { x: i * 6, y: 40 - height, width: 5, height }));
  });
  const caption = element("figcaption", {}, `${low} … ${high}`);
  return element("div", {}, chart, caption);
}
