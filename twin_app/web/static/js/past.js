// The time slider: measurements of the past, from the retained vitals. Each holds until the next.
import { getJson, twinPath } from "./api.js";
import { $, svg } from "./dom.js";
import { clock } from "./format.js";

const STEPS = 1000, AGAIN_MS = 15000;

export class Past {
  constructor(show) {
    this.show_ = show;
    this.frames = [];
    $("past-range").addEventListener("input", () => this.moved());
    $("past-span").addEventListener("change", () => this.read());
    $("past-live").addEventListener("click", () => this.live());
    setInterval(() => { if (this.twin && !this.isPast && !document.hidden) this.read(); }, AGAIN_MS);
  }

  get isPast() { return Number($("past-range").value) < STEPS; }

  show(twin) {
    this.twin = twin;
    this.frames = [];
    $("past-range").value = STEPS;
    this.told(null);
    this.read();
  }

  async read() {
    const twin = this.twin, end = new Date(), start = new Date(end - Number($("past-span").value) * 60000);
    try {
      const past = await getJson(twinPath(twin, `/past?frames=600&from=${encodeURIComponent(start.toISOString())}&to=${encodeURIComponent(end.toISOString())}`));
      if (twin !== this.twin) return;
      this.frames = past.frames.map((frame) => ({ at: Date.parse(frame.wall_time), values: frame.values }));
      // The slider spans what was measured: before that there is nothing to show.
      [this.start, this.end] = [Math.max(start.getTime(), this.frames[0]?.at ?? 0), end.getTime()];
      $("past-note").textContent = this.frames.length
        ? `${this.frames.length} measurements since ${clock(this.frames[0].at)}${past.thinned ? ", thinned" : ""}, from ${past.source.topic}-${past.source.partition}: one a second while something happens, kept for days. Use the arrow keys to step.`
        : "Nothing was measured in this stretch.";
      this.draw();
      if (this.isPast) this.moved();
    } catch (error) {
      $("past-note").textContent = `The past cannot be read: ${error.message}`;
    }
  }

  instant() { return this.start + (this.end - this.start) * Number($("past-range").value) / STEPS; }

  moved() {
    if (!this.isPast || !this.frames.length) { this.told(null); return; }
    const at = this.instant();
    let frame = this.frames[0];
    for (const one of this.frames) { if (one.at > at) break; frame = one; }
    this.told(frame, at);
  }

  live() {
    $("past-range").value = STEPS;
    this.told(null);
    $("past-range").focus();
  }

  told(frame, at) {
    const note = $("past-at");
    document.body.classList.toggle("is-past", Boolean(frame));
    $("past-banner").hidden = !frame;
    note.textContent = frame ? clock(at) : "live";
    $("past-range").setAttribute("aria-valuetext", frame ? `the line as measured at ${clock(frame.at)}` : "live");
    if (frame) $("past-banner-text").textContent = `You are looking at the past: the line as it was measured at ${clock(frame.at)}. For every event up to then, bit for bit: twin replay --twin ${this.twin} --to ${new Date(at).toISOString().slice(0, 19)}Z`;
    this.show_(frame ? { ...state(frame.values), wip: frame.values["entities.wip"] ?? null } : null);
    this.draw();
  }

  draw() {
    const spark = $("spark");
    if (!this.frames.length) { spark.replaceChildren(); return; }
    const highest = Math.max(1, ...this.frames.map((frame) => frame.values["entities.wip"] ?? 0));
    const x = (at) => 600 * (at - this.start) / (this.end - this.start), y = (value) => 35 - 33 * value / highest;
    let d = `M${x(this.frames[0].at)} 36`, before = 0;
    for (const frame of this.frames) {
      const value = frame.values["entities.wip"] ?? before;
      d += ` L${x(frame.at).toFixed(1)} ${y(before).toFixed(1)} L${x(frame.at).toFixed(1)} ${y(value).toFixed(1)}`;
      before = value;
    }
    d += ` L600 ${y(before).toFixed(1)} L600 36 Z`;
    const marker = x(this.instant());
    spark.replaceChildren(svg("path", { d }), ...(this.isPast ? [svg("line", { x1: marker, x2: marker, y1: 0, y2: 36 })] : []));
  }
}

// A frame in the shape of a state, as far as it was measured.
function state(values) {
  const found = { resources: {}, containers: {}, stores: {} };
  for (const [name, value] of Object.entries(values)) {
    const parts = name.split(".");
    if (parts[0] in found) (found[parts[0]][parts.slice(1, -1).join(".")] ||= {})[parts.at(-1)] = value;
  }
  for (const resource of Object.values(found.resources)) {
    resource.state = resource.capacity === 0 ? "closed" : !resource.busy ? "idle" : resource.busy >= resource.capacity ? "full" : "working";
  }
  return found;
}
