/* Where boxes and arrows stand: ranks along the data, few crossings, straight ways. */

const GAP = { beside: 26, below: 30, lane: 14 };

/**
 * Places boxes of an acyclic graph.
 *
 * boxes: [{ width, height }], given in an order in which every edge leads on; edges: [[from, to]].
 * Returns { places: [{ x, y }] of the boxes' upper left corners, ways: for each edge its points,
 * width, height }.
 */
function placeBoxes(boxes, edges) {
  const ranks = rankBoxes(boxes.length, edges);
  const nodes = boxes.map((box, i) => ({ width: box.width, height: box.height, rank: ranks[i] }));
  const links = nodes.map(() => ({ up: [], down: [] }));
  const chains = edges.map(([from, to]) => addChain(nodes, links, from, to));
  const rows = sortRows(nodes, links);
  const across = placeAcross(nodes, links, rows);
  const tops = [];
  let height = 0;
  for (const row of rows) {
    const tallest = Math.max(...row.map((i) => nodes[i].height));
    tops.push({ y: height, tallest });
    height += tallest + GAP.below;
  }
  const left = Math.min(...nodes.map((node, i) => across[i] - node.width / 2));
  const places = boxes.map((box, i) => ({
    x: across[i] - box.width / 2 - left,
    y: tops[ranks[i]].y,
  }));
  const ways = chains.map((chain) =>
    chain.flatMap((i, at) => {
      const { y, tallest } = tops[nodes[i].rank];
      const x = across[i] - left;
      if (at === 0) return [[x, y + nodes[i].height]];
      if (at === chain.length - 1) return [[x, y]];
      return [
        [x, y],
        [x, y + tallest],
      ];
    }),
  );
  const right = Math.max(...nodes.map((node, i) => across[i] + node.width / 2));
  return { places, ways, width: right - left, height: Math.max(0, height - GAP.below) };
}

/** The longest way to each box; a box that nothing leads to stands just above its first reader. */
function rankBoxes(count, edges) {
  const ranks = new Array(count).fill(0);
  const isRead = new Array(count).fill(false);
  const hasInput = new Array(count).fill(false);
  const sorted = [...edges].sort((a, b) => a[0] - b[0]);
  for (const [from, to] of sorted) {
    ranks[to] = Math.max(ranks[to], ranks[from] + 1);
    hasInput[to] = true;
    isRead[from] = true;
  }
  for (let box = 0; box < count; box++) {
    if (hasInput[box] || !isRead[box]) continue;
    ranks[box] = Math.min(...edges.filter(([from]) => from === box).map(([, to]) => ranks[to])) - 1;
  }
  const used = [...new Set(ranks)].sort((a, b) => a - b);
  return ranks.map((rank) => used.indexOf(rank));
}

/** The nodes that an edge passes: its ends, and a narrow one in each rank between them. */
function addChain(nodes, links, from, to) {
  const chain = [from];
  for (let rank = nodes[from].rank + 1; rank < nodes[to].rank; rank++) {
    nodes.push({ width: GAP.lane, height: 0, rank });
    links.push({ up: [], down: [] });
    chain.push(nodes.length - 1);
  }
  chain.push(to);
  for (let i = 1; i < chain.length; i++) {
    links[chain[i - 1]].down.push(chain[i]);
    links[chain[i]].up.push(chain[i - 1]);
  }
  return chain;
}

/** The nodes of each rank from left to right, swept by the means of their neighbours' places. */
function sortRows(nodes, links) {
  const rows = [];
  for (const [i, node] of nodes.entries()) {
    rows[node.rank] ??= [];
    rows[node.rank].push(i);
  }
  const place = new Array(nodes.length).fill(0);
  const note = (row) => {
    for (const [at, node] of row.entries()) place[node] = at - (row.length - 1) / 2;
  };
  for (const row of rows) note(row);
  const sweep = (row, side) => {
    const mean = (i) => {
      const next = links[i][side];
      return next.length ? next.reduce((sum, n) => sum + place[n], 0) / next.length : place[i];
    };
    const keys = new Map(row.map((i) => [i, mean(i)]));
    row.sort((a, b) => keys.get(a) - keys.get(b));
    note(row);
  };
  for (let round = 0; round < 4; round++) {
    for (const row of rows) sweep(row, "up");
    for (const row of [...rows].reverse()) sweep(row, "down");
  }
  return rows;
}

/** The middle of each node: near the means of its neighbours, apart from those beside it. */
function placeAcross(nodes, links, rows) {
  const x = new Array(nodes.length).fill(0);
  const spread = (row, wanted, weights) => {
    // taking the widths off leaves an order to keep: the closest one is found by joining
    // neighbours that overlap
    let offset = 0;
    const offsets = row.map((i, at) => {
      if (at) offset += (nodes[row[at - 1]].width + nodes[i].width) / 2 + GAP.beside;
      return offset;
    });
    const groups = [];
    row.forEach((_, at) => {
      let group = { sum: (wanted[at] - offsets[at]) * weights[at], weight: weights[at], count: 1 };
      while (groups.length && groups.at(-1).sum / groups.at(-1).weight > group.sum / group.weight) {
        const before = groups.pop();
        group = {
          sum: before.sum + group.sum,
          weight: before.weight + group.weight,
          count: before.count + group.count,
        };
      }
      groups.push(group);
    });
    let at = 0;
    for (const { sum, weight, count } of groups) {
      for (let i = 0; i < count; i++, at++) x[row[at]] = sum / weight + offsets[at];
    }
  };
  const settle = (row, sides) => {
    const wanted = [];
    const weights = [];
    for (const i of row) {
      const next = sides.flatMap((side) => links[i][side]);
      wanted.push(next.length ? next.reduce((sum, n) => sum + x[n], 0) / next.length : x[i]);
      // a long edge keeps straight, a box yields
      weights.push(next.length === 0 ? 0.1 : nodes[i].height === 0 ? 4 : 1);
    }
    spread(row, wanted, weights);
  };
  for (const row of rows) settle(row, []);
  for (let round = 0; round < 6; round++) {
    for (const row of rows) settle(row, ["up"]);
    for (const row of [...rows].reverse()) settle(row, ["down"]);
  }
  for (const row of rows) settle(row, ["up", "down"]);
  return x;
}
