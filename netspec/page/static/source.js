/* The net's text: a click on a line selects its layer, the selected layer's lines are marked. */

const source = document.getElementById("source");

function drawSource() {
  const lines = state.net.source.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const items = lines.map((text, i) => element("li", { "data-line": i + 1 }, text || " "));
  source.replaceChildren(element("ol", {}, ...items));
  markLines();
}

function layerAtLine(line) {
  return state.net.layers.findIndex((layer) =>
    layer.lines.some(([first, last]) => first <= line && line <= last),
  );
}

function markLines(isFollowed = false) {
  const layer = state.net.layers[state.chosen];
  const items = source.querySelectorAll("li");
  for (const item of items) item.classList.remove("chosen");
  for (const [first, last] of layer?.lines ?? []) {
    for (let line = first; line <= last; line++) items[line - 1]?.classList.add("chosen");
    if (isFollowed) items[first - 1]?.scrollIntoView({ block: "nearest" });
  }
}

source.addEventListener("click", (event) => {
  const line = Number(event.target.closest("li")?.dataset.line);
  const index = line ? layerAtLine(line) : -1;
  if (index >= 0) choose(index);
});
