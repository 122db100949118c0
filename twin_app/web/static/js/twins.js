// The list of twins across workers, and which one is looked at.
import { getJson } from "./api.js";
import { $, el } from "./dom.js";

const EVERY_MS = 3000;

export class Twins {
  constructor(choose) {
    this.choose = choose;
    this.current = null;
    this.found = [];
    $("twins-filter").addEventListener("input", () => this.draw());
    addEventListener("hashchange", () => this.fromAddress());
  }

  async start() {
    for (;;) {
      try {
        const { twins, workers, next_after } = await getJson("/api/twins?limit=500");
        this.found = twins;
        $("twins-count").textContent = next_after ? `first ${twins.length}` : `${twins.length}`;
        this.drawWorkers(workers);
        this.draw();
        if (!this.current) this.fromAddress();
        $("empty").hidden = twins.length > 0;
      } catch { /* the stream's state says that the worker is away */ }
      await new Promise((resume) => setTimeout(resume, EVERY_MS));
    }
  }

  fromAddress() {
    const asked = decodeURIComponent(location.hash.slice(1));
    const name = this.found.some((twin) => twin.twin === asked) ? asked : this.current ?? this.found[0]?.twin;
    if (name && name !== this.current) this.pick(name);
  }

  pick(name) {
    this.current = name;
    if (decodeURIComponent(location.hash.slice(1)) !== name) history.replaceState(null, "", `#${encodeURIComponent(name)}`);
    this.draw();
    document.querySelector("#twins [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.choose(name);
  }

  draw() {
    const filter = $("twins-filter").value.toLowerCase();
    const listed = this.found.filter((twin) => twin.twin.toLowerCase().includes(filter)).slice(0, 200);
    const focused = document.activeElement?.dataset?.twin;
    $("twins").replaceChildren(...listed.map((twin) => el("li", {}, el("button", {
      type: "button", "data-twin": twin.twin, "aria-current": twin.twin === this.current ? "true" : false, onclick: () => this.pick(twin.twin),
    }, twin.twin, el("b", { title: "entities in progress" }, `${twin.wip}`), el("small", {}, twin.running ? `partition ${twin.partition}` : "in quarantine")))));
    if (focused) document.querySelector(`[data-twin="${CSS.escape(focused)}"]`)?.focus();
    $("twins-note").textContent = listed.length < this.found.length ? `${listed.length} of ${this.found.length} shown` : "";
  }

  drawWorkers(workers) {
    $("workers").replaceChildren(...workers.map((worker) => el("li", { class: worker.reached ? null : "away" }, el("span", { class: "dot", "aria-hidden": "true" }),
      el("span", {}, `${worker.url.replace(/^https?:\/\//, "")}${worker.here ? " (this one)" : ""}${worker.reached ? "" : ", does not answer"}`,
        el("br"), worker.partitions.length ? `partitions ${worker.partitions.join(", ")}` : "no partitions"))));
  }
}
