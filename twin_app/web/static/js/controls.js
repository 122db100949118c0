// Commands: a parameter is set by a record on the config topic, and the twin's answer is shown.
import { getJson, postJson, Refused, twinPath } from "./api.js";
import { $, el } from "./dom.js";
import { shown, simTime, typed } from "./format.js";

const ANSWERS_MAX = 6;

export class Controls {
  constructor() {
    this.parameters = new Map();
    $("control").addEventListener("submit", (event) => { event.preventDefault(); this.send(typed($("control-value").value, this.parameter()?.type)); });
    $("control-path").addEventListener("change", () => this.chosen());
    $("whatif-path").addEventListener("change", () => this.propose());
  }

  async show(twin) {
    this.twin = twin;
    this.unit = null;
    $("answers").replaceChildren();
    await this.read();
    const first = [...this.parameters.keys()].find((path) => path.startsWith("resources.") && path.endsWith(".capacity")) ?? this.parameters.keys().next().value;
    for (const id of ["control-path", "whatif-path"]) $(id).value = first ?? "";
    this.chosen();
    this.propose();
  }

  // What if there were one more: a question worth asking, as far as the bounds let it.
  propose() {
    const parameter = this.parameters.get($("whatif-path").value);
    if (!parameter) return;
    const high = this.high(parameter);
    const more = parameter.type === "int" && parameter.value + 1 <= (high ?? Infinity);
    $("whatif-value").value = shown(more ? parameter.value + 1 : parameter.value);
  }

  high(parameter) { return parameter.high_path ? this.parameters.get(parameter.high_path)?.value : parameter.high; }

  async read() {
    const { parameters } = await getJson(twinPath(this.twin, "/parameters?limit=1000"));
    this.parameters = new Map(parameters.map((parameter) => [parameter.path, parameter]));
    for (const id of ["control-path", "whatif-path"]) {
      const select = $(id), before = select.value;
      const paths = [...this.parameters.keys()];
      if (select.options.length !== paths.length || [...select.options].some((option, n) => option.value !== paths[n])) {
        const groups = new Map();
        for (const path of paths) {
          const section = path.split(".")[0];
          if (!groups.has(section)) groups.set(section, el("optgroup", { label: section }));
          groups.get(section).append(el("option", { value: path }, path.slice(section.length + 1)));
        }
        select.replaceChildren(...groups.values());
        if (this.parameters.has(before)) select.value = before;
      }
    }
  }

  parameter() { return this.parameters.get($("control-path").value); }

  choose(path) {
    if (!this.parameters.has(path)) return;
    $("control-path").value = $("whatif-path").value = path;
    this.chosen();
    this.propose();
  }

  chosen() {
    const parameter = this.parameter();
    if (!parameter) { $("control-now").textContent = ""; return; }
    $("control-value").value = shown(parameter.value);
    this.tellNow();
    const quick = [];
    if (parameter.path.endsWith(".capacity") && parameter.path.startsWith("resources.")) {
      const name = parameter.path.split(".")[1];
      quick.push(el("button", { type: "button", class: "danger", id: "break", onclick: () => this.send(0) }, `Break ${name} (0)`));
      quick.push(el("button", { type: "button", id: "one-more", onclick: () => this.send(this.parameter().value + 1) }, "One more"));
      quick.push(el("button", { type: "button", id: "one-less", onclick: () => this.send(Math.max(0, this.parameter().value - 1)) }, "One less"));
    }
    $("control-quick").replaceChildren(...quick);
  }

  tellNow() {
    const parameter = this.parameter();
    if (!parameter) return;
    const high = this.high(parameter);
    const bounds = [parameter.low !== null ? `from ${parameter.low}` : parameter.above !== null ? `above ${parameter.above}` : "", high !== null && high !== undefined && high < 1e6 ? `to ${high}` : ""].filter(Boolean).join(" ");
    const source = parameter.version === 0 ? "as the blueprint has it" : `version ${parameter.version}${parameter.offset !== null ? `, by the command at offset ${parameter.offset}` : ", set by the model"}`;
    $("control-now").textContent = `Now ${shown(parameter.value)} (${parameter.type}${bounds ? `, ${bounds}` : ""}), ${source}.`;
  }

  // A parameter has changed, by whomever.
  hear(event, unit) {
    this.unit = unit;
    if (event.kind !== "parameter-changed") return;
    const parameter = this.parameters.get(event.payload.path);
    if (!parameter) return;
    parameter.value = event.payload.new;
    parameter.version += 1;
    parameter.offset = event.cause?.offset ?? null;
    if (parameter === this.parameter()) {
      if (document.activeElement !== $("control-value")) $("control-value").value = shown(parameter.value);
      this.tellNow();
    }
  }

  async send(value) {
    const parameter = this.parameter(), twin = this.twin;
    if (!parameter) return;
    const line = el("li", {}, el("b", {}, "Sending…"), `${parameter.path} = ${shown(value)}`);
    $("answers").prepend(line);
    while ($("answers").childElementCount > ANSWERS_MAX) $("answers").lastChild.remove();
    const buttons = document.querySelectorAll("#control button");
    buttons.forEach((button) => { button.disabled = true; });
    try {
      const sent = await postJson(twinPath(twin, "/commands?wait_s=10"), { kind: "set", path: parameter.path, value });
      const place = `${sent.place.topic}-${sent.place.partition}@${sent.place.offset}`;
      if (!sent.answer) tell(line, "", "Sent, not answered yet", `${parameter.path} = ${shown(value)}: it is in the topic and will be applied`, place);
      else if (sent.answer.accepted) {
        const event = sent.answer.event;
        const words = event?.kind === "parameter-changed" ? `${event.payload.path}: ${shown(event.payload.old)} → ${shown(event.payload.new)}` : `${parameter.path} = ${shown(value)}`;
        tell(line, "accepted", "Accepted", `${words}${event ? ` at ${simTime(event.sim_time, this.unit ?? "minutes")}` : ""}`, place);
      } else tell(line, "refused-one", "Refused", `${sent.answer.reason}${sent.answer.remedy ? ` – ${sent.answer.remedy}` : ""}`, `${sent.answer.code} · ${place}`);
    } catch (error) {
      const remedy = error instanceof Refused && error.remedy ? ` – ${error.remedy}` : "";
      tell(line, "refused-one", "Refused", `${error.message}${remedy}`, error.code ?? "the worker did not answer");
    }
    buttons.forEach((button) => { button.disabled = false; });
  }
}

function tell(line, kind, head, words, small) {
  line.className = kind;
  line.replaceChildren(el("b", {}, head), words, el("br"), el("small", {}, small));
}
