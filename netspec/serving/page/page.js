"use strict";
// Posts a picture to the server and shows what it answers. Texts go in as text, never as HTML.
const part = (id) => document.getElementById(id);
let endpoint = "/classify";
let latest = 0; // the answer to an earlier picture is not shown

fetch("/health")
  .then((answer) => answer.json())
  .then((facts) => {
    endpoint = facts.endpoint;
    part("net").textContent = facts.net || "netspec";
  })
  .catch(() => {
    part("status").textContent = "The server does not answer.";
  });

function color(label, alpha) {
  return `hsl(${(label * 222.49) % 360} 85% 45% / ${alpha})`;
}

function drawBoxes(found) {
  const canvas = part("boxes");
  canvas.width = found.width;
  canvas.height = found.height;
  const pen = canvas.getContext("2d");
  const size = Math.max(12, found.width / 40);
  pen.lineWidth = Math.max(1, found.width / 300);
  pen.font = `${size}px system-ui, sans-serif`;
  for (const box of found.boxes || []) {
    pen.strokeStyle = pen.fillStyle = color(box.label, 1);
    pen.strokeRect(box.xmin, box.ymin, box.xmax - box.xmin, box.ymax - box.ymin);
    pen.fillText(box.name || box.label, box.xmin, Math.max(size, box.ymin - 2));
  }
}

function fillTable(rows) {
  const body = part("table").tBodies[0];
  body.replaceChildren();
  for (const row of rows) {
    const line = body.insertRow();
    line.insertCell().textContent = row.label_text;
    line.insertCell().textContent = row.score.toFixed(4);
  }
  part("table").hidden = rows.length === 0;
}

async function ask(file) {
  const own = ++latest;
  part("status").textContent = "…";
  part("table").hidden = true;
  const picture = part("picture");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  part("shown").hidden = false;
  part("boxes").width = 0;
  let found;
  try {
    const answer = await fetch(endpoint, {
      method: "POST",
      body: file,
      headers: { "Content-Type": file.type || "application/octet-stream" },
    });
    found = await answer.json();
  } catch {
    found = { error: "the server does not answer" };
  }
  if (own !== latest) return;
  part("status").textContent = found.error || (found.boxes && !found.boxes.length ? "no box" : "");
  if (found.error) return;
  drawBoxes(found);
  const rows = found.classes || found.boxes;
  fillTable(
    rows.map((row) => ({
      label_text: String(row.name ?? (found.classes ? (row.label ?? row.class) : row.label)),
      score: row.score,
    })),
  );
}

part("file").addEventListener("change", (event) => {
  if (event.target.files.length) ask(event.target.files[0]);
});
const drop = part("drop");
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.remove("over");
  });
}
drop.addEventListener("drop", (event) => {
  if (event.dataTransfer.files.length) ask(event.dataTransfer.files[0]);
});
