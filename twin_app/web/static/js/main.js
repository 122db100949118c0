// The page: one twin at a time, followed by one stream of state, events and forecasts.
import { follow, getJson, twinPath } from "./api.js";
import { Controls } from "./controls.js";
import { Diagram } from "./diagram.js";
import { $, el } from "./dom.js";
import { Forecast } from "./forecast.js";
import { clock, describe, plain, simTime } from "./format.js";
import { Past } from "./past.js";
import { Twins } from "./twins.js";

const EVENTS_SHOWN = 60, WORK_SHOWN = 50, WORK_EVERY_MS = 2000;
const QUIET_KINDS = /^entity-(created|queued|started|finished|left|get|put|blocked|gathered|waiting|woken)$/;

let twin = null, state = null, stop = null, frozen = null;
const controls = new Controls();
const diagram = new Diagram($("canvas"), (node) => controls.choose(`${node.id}.${node.kind === "container" ? "level" : "capacity"}`));
const forecast = new Forecast(controls);
const past = new Past((frame) => {
  frozen = frame;
  if (!state) return;
  diagram.update(frame ? merged(frame) : state, true);
  showFacts();
});

// What was not measured then (the bound of a stock, say) is shown as it is now.
function merged(frame) {
  const found = {};
  for (const section of ["resources", "containers", "stores"]) {
    found[section] = {};
    for (const [name, now] of Object.entries(state[section])) {
      const then = frame[section][name] ?? {};
      found[section][name] = { ...now, putting: 0, getting: 0, ...then, utilisation: then.capacity ? then.busy / then.capacity : 0 };
    }
  }
  return found;
}

async function look(name) {
  twin = name;
  stop?.();
  state = null;
  $("view").hidden = false;
  $("name").textContent = name;
  document.title = `${name} · Live twins`;
  $("events").replaceChildren();
  $("work").replaceChildren();
  forecast.show(name);
  try {
    await Promise.all([getJson(twinPath(name, "/diagram")).then((drawn) => { if (twin === name) diagram.show(drawn); }), controls.show(name)]);
  } catch (error) { connected(false, error.message); }
  if (twin !== name) return;
  past.show(name);
  stop = follow(twinPath(name, "/stream"), hear, connected);
  readWork();
}

function hear(kind, data) {
  if (kind === "state") showState(data);
  else if (kind === "event") showEvent(data);
  else if (kind === "forecast") forecast.hear(data);
}

function showState(next) {
  state = next;
  if (!frozen) diagram.update(state);
  $("description").textContent = state.description ?? "";
  $("quarantine").hidden = !state.quarantine;
  $("quarantine").textContent = state.quarantine ? `This twin stands still: ${state.quarantine}` : "";
  showFacts();
}

function showFacts() {
  const facts = frozen ? [["In progress then", frozen.wip ?? "–"], ["Simulated time now", simTime(state.sim_time, state.time_unit)]] : [["Simulated time", simTime(state.sim_time, state.time_unit)], ["In progress", state.wip], ["Finished", state.finished], ["Lag", `${plain(state.lag_s, 2)} s`],
    ["Partition", `${state.partition}, ${state.partition_state}`], ["Last event", state.seq]];
  const list = $("facts");
  if (list.childElementCount !== facts.length || list.firstChild?.firstChild.textContent !== facts[0][0]) list.replaceChildren(...facts.map(([name]) => el("div", {}, el("dt", {}, name), el("dd", {}))));
  facts.forEach(([, value], n) => { list.children[n].lastChild.textContent = value; });
}

function showEvent(event) {
  if (!frozen) diagram.hear(event);
  controls.hear(event, state?.time_unit);
  if (event.kind === "twin-replaced" || event.kind === "twin-migrated") getJson(twinPath(twin, "/diagram")).then((drawn) => diagram.show(drawn), () => {});
  const quiet = QUIET_KINDS.test(event.kind);
  if (quiet && !$("events-all").checked) return;
  $("events").prepend(el("li", { class: quiet ? null : "loud" }, el("time", {}, simTime(event.sim_time, state?.time_unit ?? "minutes")), el("span", {}, describe(event))));
  while ($("events").childElementCount > EVENTS_SHOWN) $("events").lastChild.remove();
}

async function readWork() {
  const name = twin;
  if (!name || document.hidden) return;
  try {
    const page = await getJson(twinPath(name, `/work?limit=${WORK_SHOWN}`));
    if (name !== twin) return;
    $("work-count").textContent = page.total > page.work.length ? `first ${page.work.length} of ${page.total}` : `${page.total}`;
    const unit = state?.time_unit ?? "minutes";
    $("work").replaceChildren(...page.work.map((item) => {
      const leaving = forecast.leaving(item.entity);
      const when = leaving?.leaves ? `${simTime(leaving.leaves, unit)}${leaving.late > .5 ? " (late)" : ""}` : "–";
      return el("tr", {}, el("td", {}, `${item.entity}`), el("td", {}, item.place?.replace(/^\w+\./, "") ?? item.step), el("td", {}, item.phase), el("td", {}, when));
    }));
  } catch { /* the stream says what is wrong */ }
}
setInterval(readWork, WORK_EVERY_MS);

function connected(on, why) {
  $("connection").className = `connection ${on ? "on" : "off"}`;
  $("connection-text").textContent = on ? "live" : `${why}, ${clock(Date.now())}`;
}

new Twins(look).start();
