// Numbers and times as people read them.
const UNIT_MS = { seconds: 1e3, minutes: 6e4, hours: 36e5, days: 864e5 };

export const plain = (value, digits = 1) => Number.isInteger(value) ? String(value) : Number(value).toFixed(digits);

export const clock = (date) => new Date(date).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function simTime(value, unit) {
  if (value === null || value === undefined) return "–";
  const seconds = value * UNIT_MS[unit] / 1e3;
  if (unit === "seconds" && seconds < 600) return `${plain(value)} s`;
  const minutes = Math.floor(seconds / 60), days = Math.floor(minutes / 1440);
  const time = `${String(Math.floor(minutes / 60) % 24).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
  return days ? `day ${days + 1}, ${time}` : time;
}

export const percent = (share) => `${Math.round(share * 100)} %`;

export const shown = (value) => typeof value === "string" ? value : JSON.stringify(value);

// What a person types for a value: a number, true, false, JSON, or else a text.
export function typed(text, type) {
  if (type === "str") return text;
  try { return JSON.parse(text); } catch { return text; }
}

export const said = {
  "parameter-changed": (e) => `${e.payload.path}: ${shown(e.payload.old)} → ${shown(e.payload.new)}`,
  "bottleneck-formed": (e) => `${e.payload.resource} is a bottleneck: ${e.payload.queue} waiting`,
  "bottleneck-cleared": (e) => `${e.payload.resource} is no bottleneck any more`,
  "queue-growing": (e) => `the queue before ${e.payload.resource} grows: ${e.payload.queue} waiting`,
  "resource-starving": (e) => `${e.payload.resource} starves: nothing to work on`,
  "resource-fed": (e) => `${e.payload.resource} has work again`,
  "entity-created": (e) => `entity ${e.entity} enters ${e.payload.flow}`,
  "entity-queued": (e) => `entity ${e.entity} waits at ${e.payload.resource}`,
  "entity-started": (e) => `entity ${e.entity} begins at ${e.payload.resource}`,
  "entity-finished": (e) => `entity ${e.entity} is done at ${e.payload.resource}`,
  "entity-put": (e) => `entity ${e.entity} puts into ${e.payload.stock}`,
  "entity-get": (e) => `entity ${e.entity} takes from ${e.payload.stock}`,
  "entity-blocked": (e) => `entity ${e.entity} waits at ${e.payload.stock}`,
  "entity-reneged": (e) => `entity ${e.entity} gives up waiting at ${e.payload.resource}`,
  "resource-down": (e) => `${e.payload.resource} is out of service: ${e.payload.reason}`,
  "resource-up": (e) => `${e.payload.resource} is back in service`,
  "entity-left": (e) => `entity ${e.entity} leaves (${e.payload.outcome})`,
};

export function describe(event) {
  const words = said[event.kind];
  if (words) return words(event);
  return `${event.kind.replaceAll("-", " ")}${event.entity === null ? "" : ` (entity ${event.entity})`}`;
}
