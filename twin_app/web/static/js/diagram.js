// The line as SVG: laid out by the worker (layers and rows), drawn here, and kept up to date with every state.
import { announce, svg } from "./dom.js";
import { percent, plain } from "./format.js";

const WIDE = { w: 158, h: 104 }, NARROW = { w: 146, h: 104 }, PILL = { w: 104, h: 38 };
const GAP_LAYER = 36, GAP_ROW = 26, MARGIN = 16, QUEUE_DOTS = 12, SLOTS = 8;
const STATE_WORDS = { idle: "idle", working: "working", full: "full", bottleneck: "bottleneck", closed: "closed", down: "out of service" };

export class Diagram {
  constructor(canvas, choose) {
    this.canvas = canvas;
    this.choose = choose;
    this.nodes = new Map();
    this.places = new Map();
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.chosen = null;
    this.moving = 0;
    new ResizeObserver(() => this.layOutAgain()).observe(canvas);
  }

  show(diagram) {
    this.diagram = diagram;
    this.draw();
  }

  layOutAgain() {
    if (this.diagram && this.isTall() !== this.tall) this.draw();
  }

  dotsMax() { return this.tall ? QUEUE_DOTS - 3 : QUEUE_DOTS; }

  isTall() { return this.canvas.clientWidth < 620; }

  place(node) {
    const size = this.size(node);
    const cell = this.tall ? NARROW : WIDE;
    const along = this.layers[node.layer], across = node.row * (this.tall ? cell.w + 8 : cell.h + GAP_ROW);
    const [x, y] = this.tall ? [across, along.at] : [along.at, across];
    return { x: x + MARGIN + ((this.tall ? cell.w : along.size) - size.w) / 2, y: y + MARGIN + ((this.tall ? along.size : cell.h) - size.h) / 2, ...size };
  }

  // Where each layer begins, and how much room it takes along the flow: one of arrivals and ends alone takes less.
  measure() {
    this.layers = Array.from({ length: this.diagram.layers }, () => ({ at: 0, size: 0 }));
    for (const node of this.diagram.nodes) {
      const size = this.size(node), layer = this.layers[node.layer];
      layer.size = Math.max(layer.size, this.tall ? size.h : size.w);
    }
    let at = 0;
    for (const layer of this.layers) { layer.at = at; at += layer.size + (this.tall ? 34 : GAP_LAYER); }
  }

  size(node) { return ["arrival", "end", "entry"].includes(node.kind) ? PILL : this.tall ? NARROW : WIDE; }

  draw() {
    this.tall = this.isTall();
    const { diagram } = this;
    this.nodes.clear();
    this.measure();
    this.at = new Map(diagram.nodes.map((node) => [node.id, this.place(node)]));
    const boxes = [...this.at.values()];
    const width = Math.max(200, ...boxes.map((b) => b.x + b.w)) + MARGIN;
    const height = Math.max(80, ...boxes.map((b) => b.y + b.h)) + MARGIN + (diagram.edges.some((e) => e.back) && !this.tall ? 26 : 0);
    // It shrinks to fit, but never so far that it cannot be read; then the box around it scrolls.
    const scale = Math.max(this.tall ? .74 : .6, Math.min(1.15, this.canvas.clientWidth / width));
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width: width * scale, height: height * scale, "aria-label": "Boxes are machines and stocks; lines are the ways of the work", role: "group" });
    this.edges = svg("g", { "aria-hidden": "true" });
    this.traffic = svg("g", { "aria-hidden": "true" });
    root.append(this.edges, this.traffic);
    this.paths = new Map();
    for (const edge of diagram.edges) this.drawEdge(edge, height);
    for (const node of diagram.nodes) root.append(this.drawNode(node));
    this.canvas.replaceChildren(root);
    if (this.state) this.update(this.state, true);
  }

  drawEdge(edge, height) {
    const from = this.at.get(edge.source), to = this.at.get(edge.target);
    let d, label;
    if (edge.back && !this.tall) {
      const y = Math.max(from.y + from.h, to.y + to.h) + 22;
      d = `M${from.x + from.w / 2} ${from.y + from.h} C${from.x + from.w / 2} ${y} ${to.x + to.w / 2} ${y} ${to.x + to.w / 2} ${to.y + to.h + 5}`;
      label = { x: (from.x + from.w / 2 + to.x + to.w / 2) / 2, y: y - 4 };
    } else if (this.tall) {
      const x1 = from.x + from.w / 2, y1 = from.y + from.h, x2 = to.x + to.w / 2, y2 = to.y - 5, bend = Math.max(20, (y2 - y1) / 2);
      d = `M${x1} ${y1} C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
      label = { x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
    } else {
      const x1 = from.x + from.w, y1 = from.y + from.h / 2, x2 = to.x - 5, y2 = to.y + to.h / 2, bend = Math.max(20, (x2 - x1) / 2);
      d = `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
      label = { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 7 };
    }
    const path = svg("path", { class: edge.back ? "edge back" : "edge", d });
    this.paths.set(`${edge.source}>${edge.target}`, path);
    const tip = edge.back && !this.tall ? [to.x + to.w / 2, to.y + to.h + 1, "0,0 -4,7 4,7"]
      : this.tall ? [to.x + to.w / 2, to.y - 1, "0,0 -4,-7 4,-7"] : [to.x - 1, to.y + to.h / 2, "0,0 -7,-4 -7,4"];
    this.edges.append(path, svg("polygon", { class: "edge-tip", points: tip[2], transform: `translate(${tip[0]} ${tip[1]})` }));
    if (edge.label) this.edges.append(svg("text", { class: "edge-label", "text-anchor": "middle", ...label }, edge.label));
  }

  drawNode(node) {
    const box = this.at.get(node.id);
    if (box.w === PILL.w) {
      const words = { arrival: node.name, end: `out: ${node.name}`, entry: `in: ${node.name}` }[node.kind];
      return svg("g", { class: "node pill", transform: `translate(${box.x} ${box.y})` },
        svg("rect", { class: "box", width: box.w, height: box.h, rx: box.h / 2 }),
        svg("text", { x: box.w / 2, y: box.h / 2 + 4.5, "text-anchor": "middle" }, clip(words, 14)));
    }
    const parts = { status: svg("text", { class: "status", x: box.w - 14, y: 25, "text-anchor": "end" }) };
    const group = svg("g", {
      class: "node", tabindex: "0", role: "button", transform: `translate(${box.x} ${box.y})`, "data-node": node.id,
      onclick: () => this.pick(node), onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.pick(node); }
      },
    }, svg("rect", { class: "box", width: box.w, height: box.h, rx: 12 }),
      svg("rect", { class: "stripe", x: 0, y: 14, width: 4, height: box.h - 28, rx: 2 }),
      svg("text", { class: "name", x: 16, y: 26 }, clip(node.name, 12)), parts.status);
    parts.dots = svg("g", { transform: "translate(16 40)" });
    parts.queue = svg("text", { class: "small", x: 16, y: 66 });
    parts.slots = svg("g", { transform: `translate(${box.w - 14} 55)` });
    parts.bar = svg("rect", { class: "bar", x: 16, y: 80, height: 6, rx: 3, width: 0 });
    parts.use = svg("text", { class: "small", x: box.w - 14, y: 87, "text-anchor": "end" });
    group.append(parts.dots, parts.queue, parts.slots, svg("rect", { class: "track", x: 16, y: 80, width: box.w - 76, height: 6, rx: 3 }), parts.bar, parts.use);
    group.classList.toggle("chosen", node.id === this.chosen);
    this.nodes.set(node.id, { node, group, parts, width: box.w - 76 });
    return group;
  }

  pick(node) {
    this.chosen = node.id;
    for (const [id, { group }] of this.nodes) group.classList.toggle("chosen", id === node.id);
    this.choose(node);
  }

  update(state, quiet = false) {
    this.state = state;
    for (const [id, drawn] of this.nodes) {
      const [section, name] = [id.slice(0, id.indexOf(".")), id.slice(id.indexOf(".") + 1)];
      const now = state[section]?.[name];
      if (!now) continue;
      if (section === "resources") this.resource(drawn, now, quiet); else this.stock(drawn, now);
    }
  }

  resource({ node, group, parts, width }, now, quiet) {
    const word = STATE_WORDS[now.state] ?? now.state;
    if (!quiet && group.dataset.state && group.dataset.state !== now.state && ["closed", "down", "bottleneck"].some((s) => s === now.state || s === group.dataset.state)) announce(`${node.name}: ${word}`);
    group.dataset.state = now.state;
    parts.status.textContent = word;
    dots(parts.dots, now.queue, this.dotsMax());
    parts.queue.textContent = `${now.queue} waiting`;
    slots(parts.slots, now.busy, now.capacity);
    const share = now.utilisation ?? (now.capacity ? now.busy / now.capacity : 0);
    parts.bar.setAttribute("width", width * Math.min(1, share));
    parts.use.textContent = percent(share);
    name(group, `${now.busy} of ${now.capacity} busy, used ${percent(share)}`);
  }

  stock({ node, group, parts, width }, now) {
    group.dataset.state = now.getting ? "bottleneck" : now.level ? "working" : "idle";
    dots(parts.dots, (now.getting ?? 0) + (now.putting ?? 0), this.dotsMax());
    parts.queue.textContent = now.getting ? `${now.getting} want some` : now.putting ? `${now.putting} bring some` : `holds ${plain(now.level)}`;
    const share = now.capacity ? Math.min(1, now.level / now.capacity) : 0;
    parts.bar.setAttribute("width", width * share);
    parts.use.textContent = now.capacity && now.capacity < 1e6 ? `${plain(now.level)}/${plain(now.capacity)}` : plain(now.level);
    name(group, `${node.kind}, holds ${plain(now.level)}, ${now.getting ?? 0} wait to take, ${now.putting ?? 0} wait to bring`);
  }

  // A dot runs along the way that an entity takes.
  hear(event) {
    const { entity, kind, payload } = event;
    if (entity === null) return;
    const before = this.places.get(entity);
    let to = null;
    if (kind === "entity-created") to = payload.source ? `arrivals.${payload.source}` : `flows.${payload.flow}`;
    else if (payload.resource) to = `resources.${payload.resource}`;
    else if (payload.stock) to = [`containers.${payload.stock}`, `stores.${payload.stock}`].find((id) => this.nodes.has(id)) ?? null;
    else if (kind === "entity-left") to = [...this.paths.keys()].filter((k) => k.startsWith(`${before}>end.`))[0]?.split(">")[1] ?? null;
    if (to && before && to !== before) this.run(this.paths.get(`${before}>${to}`));
    if (kind === "entity-left") this.places.delete(entity); else if (to) this.places.set(entity, to);
    if (this.places.size > 5000) this.places.delete(this.places.keys().next().value);
  }

  run(path) {
    if (!path || this.still.matches || this.moving >= 30 || document.hidden) return;
    const length = path.getTotalLength(), token = svg("circle", { class: "token", r: 5 }), started = performance.now();
    this.moving += 1;
    this.traffic.append(token);
    const frame = (now) => {
      const share = Math.min(1, (now - started) / 550), eased = share < .5 ? 2 * share * share : 1 - (2 - 2 * share) ** 2 / 2;
      const at = path.getPointAtLength(length * eased);
      token.setAttribute("cx", at.x);
      token.setAttribute("cy", at.y);
      if (share < 1 && token.isConnected) requestAnimationFrame(frame); else { token.remove(); this.moving -= 1; }
    };
    requestAnimationFrame(frame);
  }
}

// The accessible name begins with what is seen, so that who sees it can say it.
function name(group, more) {
  const seen = [...group.querySelectorAll("text")];
  for (const text of seen) if (!text.textContent.endsWith(" ")) text.textContent += " "; // else the words run together
  group.setAttribute("aria-label", `${seen.map((text) => text.textContent).join("")}; ${more}`);
}

const clip = (text, length) => text.length > length ? `${text.slice(0, length - 1)}…` : text;

function dots(group, count, most) {
  const wanted = Math.min(count, most);
  while (group.childElementCount > wanted) group.lastChild.remove();
  while (group.childElementCount < wanted) group.append(svg("circle", { class: "waiting", r: 3.6, cx: 4 + group.childElementCount * 10.4, cy: 5 }));
}

function slots(group, busy, capacity) {
  const count = Math.max(capacity, busy);
  const key = `${busy}/${capacity}`;
  if (group.dataset.key === key) return;
  group.dataset.key = key;
  if (count > SLOTS || count === 0) {
    group.replaceChildren(svg("text", { class: "small", x: 0, y: 11, "text-anchor": "end" }, `${busy}/${capacity} busy`));
    return;
  }
  group.replaceChildren(...Array.from({ length: count }, (_, n) => svg("rect", {
    class: n < busy ? "slot busy" : "slot", x: -12 - (count - 1 - n) * 16, y: 1, width: 12, height: 12, rx: 3.5,
  })));
}
