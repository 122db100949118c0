// Forecasts: the sentence, where it comes from, bands over time, and what if, side by side.
import { postStream, Refused, twinPath } from "./api.js";
import { $, el } from "./dom.js";
import { clock, percent, plain, shown, simTime, typed } from "./format.js";

export class Forecast {
  constructor(controls) {
    this.controls = controls;
    this.record = this.answer = null;
    $("quantity").addEventListener("change", () => { this.picked = $("quantity").value; this.draw(); });
    $("whatif").addEventListener("submit", (event) => { event.preventDefault(); this.ask(); });
    addEventListener("twin-theme", () => this.draw());
    new ResizeObserver(() => this.resize()).observe($("chart"));
  }

  show(twin) {
    this.twin = twin;
    this.record = this.answer = this.picked = null;
    $("sentence").textContent = "No forecast yet.";
    for (const id of ["provenance", "comparison", "keys", "bottlenecks", "questions", "quantity"]) $(id).replaceChildren();
    this.plot?.destroy();
    this.plot = null;
    this.options = "";
    $("chart").setAttribute("aria-label", "No forecast yet");
  }

  // A revision of any forecast of this twin. A newer state of the twin ends what an older question compared.
  hear(record) {
    if (record.error && !record.baseline) {
      if (!this.record) $("sentence").textContent = record.error.message;
      return;
    }
    this.record = record;
    if ($("sentence").textContent !== record.baseline.sentence) $("sentence").textContent = record.baseline.sentence;
    $("provenance").textContent = provenance(record);
    this.drawBottlenecks(record);
    this.drawQuestions(record);
    this.draw();
  }

  async ask() {
    const path = $("whatif-path").value, parameter = this.controls.parameters.get(path);
    const value = typed($("whatif-value").value, parameter?.type), name = `${path} = ${shown(value)}`;
    const button = document.querySelector("#whatif button");
    button.disabled = true;
    $("comparison").replaceChildren(el("p", { class: "note" }, "Asking…"));
    try {
      const ask = { horizon: $("whatif-horizon").value.trim() || "8h", scenarios: { [name]: [{ kind: "set", path, value }] } };
      await postStream(twinPath(this.twin, "/forecast"), ask, (kind, data) => {
        if (kind === "revision" && data.baseline) { this.answer = data; this.compare(data); this.draw(); }
        else if (kind === "revision" && data.error) this.refuse(data.error.message, data.error.remedy);
        else if (kind === "problem") this.refuse(data.title, data.remedy);
      });
    } catch (error) {
      this.refuse(error.message, error instanceof Refused ? error.remedy : null);
    }
    button.disabled = false;
  }

  refuse(why, remedy) {
    $("comparison").replaceChildren(el("p", { class: "refused" }, `${why}${remedy ? ` – ${remedy}` : ""}`));
  }

  compare(record) {
    const [scenario] = record.scenarios;
    const parts = [el("div", { class: "futures" },
      el("div", {}, el("span", {}, "As it is"), record.baseline.sentence),
      el("div", {}, el("span", {}, `What if ${scenario.name}`), scenario.outlook?.sentence ?? `Refused: ${scenario.refused.join("; ")}`))];
    const told = scenario.differences.filter((d) => /^(finished|left|late)$|queue_mean$/.test(d.quantity));
    const differing = (told.length ? told : scenario.differences).sort((a, b) => Math.abs(b.mean) - Math.abs(a.mean)).slice(0, 6);
    if (differing.length) {
      parts.push(el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Over the horizon"), el("th", { scope: "col", class: "num" }, "As it is"), el("th", { scope: "col", class: "num" }, "What if"), el("th", { scope: "col", class: "num" }, "Difference"))),
        el("tbody", {}, ...differing.map((d) => el("tr", {}, el("td", {}, words(d.quantity)), el("td", { class: "num" }, plain(d.baseline)), el("td", { class: "num" }, plain(d.scenario)),
          el("td", { class: `num ${mood(d)}` }, `${d.mean >= .05 ? "+" : ""}${plain(Math.abs(d.mean) < .05 ? 0 : d.mean)}`, d.low !== null && d.low !== d.high ? el("small", {}, `${plain(d.low)} to ${plain(d.high)}`) : null))))));
    }
    const first = scenario.first_difference;
    parts.push(el("p", { class: "note" }, first
      ? `First difference at ${simTime(first.sim_time, record.time_unit)}: ${first.scenario_event ?? "nothing"}${first.baseline_event ? `, instead of ${first.baseline_event}` : ""}.`
      : "The two futures are the same."));
    parts.push(el("p", { class: "note" }, provenance(record)));
    $("comparison").replaceChildren(...parts);
  }

  drawBottlenecks(record) {
    $("bottlenecks").replaceChildren(...record.baseline.bottlenecks.slice(0, 4).map((b) => el("p", {},
      el("b", {}, b.resource), b.present ? " is a bottleneck now" : ` becomes a bottleneck: ${record.deterministic ? "certain" : `${percent(b.probability)} (${percent(b.probability_low)} to ${percent(b.probability_high)})`}${b.sim_time !== null ? `, about ${simTime(b.sim_time, record.time_unit)}` : ""}`)));
  }

  // Standing questions, each with the likeliest that it asks about.
  drawQuestions(record) {
    $("questions").replaceChildren(...(record.answers ?? []).slice(0, 20).map((answer) => el("p", {},
      el("b", {}, answer.question), ` (above ${percent(answer.above)}?) ${answer.cases[0]?.sentence ?? "Nobody whom it asks about is in progress."}`)));
  }

  draw() {
    const compared = this.answer && this.record && this.answer.as_of_seq >= this.record.as_of_seq - 200 && Date.now() - Date.parse(this.answer.created_at) < 120000;
    const record = compared ? this.answer : this.record;
    if (!record?.baseline) return;
    const bands = record.baseline.bands, quantities = bands.map((band) => band.quantity).join("|");
    const likely = record.baseline.bottleneck && `resources.${record.baseline.bottleneck}.queue`;
    if (quantities !== this.options) {
      this.options = quantities;
      $("quantity").replaceChildren(...bands.map((band) => el("option", { value: band.quantity }, words(band.quantity))));
    }
    // What somebody has picked stays; else the queue that is likeliest to become a bottleneck.
    const has = (quantity) => bands.some((band) => band.quantity === quantity);
    $("quantity").value = has(this.picked) ? this.picked : has(likely) ? likely : has($("quantity").value) ? $("quantity").value : bands[0]?.quantity ?? "";
    const futures = [["As it is", record.baseline], ...(compared ? record.scenarios.filter((s) => s.outlook).map((s) => [s.name, s.outlook]).slice(0, 1) : [])];
    this.drawChart(record, futures);
  }

  drawChart(record, futures) {
    const quantity = $("quantity").value, style = getComputedStyle(document.documentElement);
    const colour = (name, alpha) => `rgba(${style.getPropertyValue(name)}, ${alpha})`;
    const data = [null], series = [{}], bands = [];
    futures.forEach(([name, outlook], n) => {
      const band = outlook.bands.find((b) => b.quantity === quantity);
      if (!band || (data[0] && data[0].length !== outlook.grid.length + 1)) return;
      const now = band.now ?? null;
      data[0] ||= [record.as_of_sim_time, ...outlook.grid];
      const at = series.length, variable = n ? "--band-b" : "--band-a", none = { width: 0, points: { show: false } };
      data.push([now, ...band.q95], [now, ...band.q05], [now, ...band.q75], [now, ...band.q25], [now, ...band.q50]);
      series.push(none, none, none, none, { label: name, stroke: colour(variable, 1), width: 2.4, points: { show: false }, dash: n ? [7, 4] : undefined });
      bands.push({ series: [at, at + 1], fill: colour(variable, .16) }, { series: [at + 2, at + 3], fill: colour(variable, .22) });
    });
    if (!data[0]) return;
    const ink = style.getPropertyValue("--soft"), grid = style.getPropertyValue("--line"), box = $("chart");
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "12px system-ui, sans-serif" };
    const highest = Math.max(1, ...data.slice(1).flat().filter((value) => value !== null));
    const options = {
      width: box.clientWidth, height: 260, legend: { show: false }, cursor: { y: false }, series, bands,
      scales: { x: { time: false }, y: { range: [0, highest * 1.08] } },
      axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => simTime(tick, record.time_unit)), space: 70 }, { ...axis, size: 44 }],
    };
    this.plot?.destroy();
    this.plot = new uPlot(options, data, box);
    const last = data[5].at(-1), low = data[2].at(-1), high = data[1].at(-1);
    box.setAttribute("aria-label", `${words(quantity)} from ${simTime(data[0][0], record.time_unit)} to ${simTime(data[0].at(-1), record.time_unit)}: at the end ${plain(last)}, with 90 % between ${plain(low)} and ${plain(high)}`);
    $("keys").replaceChildren(...futures.map(([name], n) => el("li", { class: n ? "b" : "a" }, el("i"), name)), el("li", {}, record.deterministic ? "exact: nothing random ahead" : "line: median; bands: half and 90 % of the futures"));
  }

  resize() {
    if (this.plot && $("chart").clientWidth) this.plot.setSize({ width: $("chart").clientWidth, height: 260 });
  }

  // When an entity leaves, as the newest forecast has it.
  leaving(entity) {
    return this.record?.baseline?.entities.find((outlook) => outlook.entity === entity) ?? null;
  }
}

const words = (quantity) => quantity.replace(/^(resources|containers|stores)\./, "").replaceAll(".", ": ").replaceAll("_", " ");

function mood(difference) {
  if (Math.abs(difference.mean) < .05 || difference.low === null || (difference.low <= 0 && difference.high >= 0)) return "";
  const good = /finished|left|throughput/.test(difference.quantity) ? difference.mean > 0 : difference.mean < 0;
  return good ? "better" : "worse";
}

function provenance(record) {
  const runs = record.deterministic ? "one run, exact" : `${record.replications} replications${record.precise ? "" : record.final ? "" : ", still sharpening"}`;
  const parts = [`as of ${simTime(record.as_of_sim_time, record.time_unit)} (event ${record.as_of_seq}${record.as_of_offset !== null ? `, offset ${record.as_of_offset}` : ""})`,
    `made ${clock(record.created_at)} in ${plain(record.compute_s, 2)} s`, runs, `asked by ${record.trigger.replace(/-\d+$/, "")}`,
    record.input_age_s !== null ? `input ${plain(record.input_age_s)} s old` : null, `lag ${plain(record.lag_s, 2)} s`, `seed ${record.seed}`, `blueprint ${record.blueprint_hash.slice(0, 8)}`];
  return parts.filter(Boolean).join(" · ");
}
