/* The table of layers: sortable, with bars for what they cost. */

const COLUMNS = [
  { key: "name", title: "Layer", value: (layer) => layer.name },
  { key: "type", title: "Type", value: (layer) => layer.type },
  {
    key: "output",
    title: "Output",
    value: (layer) => layer.tops.map(([, shape]) => shapeText(shape)).join(", "),
  },
  { key: "count", title: "Parameters", number: (layer) => layer.count },
  { key: "macs", title: "Multiply-adds", number: (layer) => layer.macs },
  { key: "bytes", title: "Memory", number: (layer) => layer.bytes, text: bytesText },
];
const table = document.getElementById("layers");

function drawTable() {
  const head = element(
    "tr",
    {},
    ...COLUMNS.map((column) => {
      const isSorted = state.sort.column === column.key;
      const order = isSorted ? (state.sort.down ? "descending" : "ascending") : "none";
      const mark = isSorted ? (state.sort.down ? " ▾" : " ▴") : "";
      const button = element(
        "button",
        { type: "button", onclick: () => sortBy(column) },
        column.title + mark,
      );
      return element("th", { scope: "col", "aria-sort": order }, button);
    }),
  );
  const most = Object.fromEntries(
    COLUMNS.filter((column) => column.number).map((column) => [
      column.key,
      Math.max(1, ...state.net.layers.filter(isShown).map(column.number)),
    ]),
  );
  const rows = sortedLayers().map((index) => tableRow(index, most));
  table.replaceChildren(
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)),
  );
  markRow();
}

function tableRow(index, most) {
  const layer = state.net.layers[index];
  const row = element("tr", { "data-layer": index, onclick: () => choose(index) });
  for (const column of COLUMNS) {
    if (!column.number) {
      row.append(element("td", {}, column.value(layer)));
      continue;
    }
    const number = column.number(layer);
    const text = column.text ?? ((value) => value.toLocaleString("en"));
    const cell = element("td", { class: "number" }, number ? text(number) : "");
    cell.style.setProperty("--share", `${(100 * number) / most[column.key]}%`);
    row.append(cell);
  }
  return row;
}

function sortBy(column) {
  const isSame = state.sort.column === column.key;
  state.sort = { column: column.key, down: isSame ? !state.sort.down : Boolean(column.number) };
  drawTable();
  table.querySelector(`th[aria-sort$="ending"] button`)?.focus();
}

function sortedLayers() {
  const shown = state.net.layers.map((_, i) => i).filter((i) => isShown(state.net.layers[i]));
  const column = COLUMNS.find((each) => each.key === state.sort.column);
  if (!column) return shown;
  const key = (i) => (column.number ?? column.value)(state.net.layers[i]);
  const compare = (a, b) => (column.number ? key(a) - key(b) : key(a).localeCompare(key(b)));
  return shown.sort((a, b) => (state.sort.down ? compare(b, a) : compare(a, b)));
}

function markRow() {
  for (const row of table.querySelectorAll("tbody tr")) {
    const isChosen = Number(row.dataset.layer) === state.chosen;
    row.classList.toggle("chosen", isChosen);
    if (isChosen) row.scrollIntoView({ block: "nearest" });
  }
}
