// The way to the workers: requests with the token, problems as errors, server-sent events by fetch (which can carry the token).
import { $ } from "./dom.js";

let token = "";
try { token = sessionStorage.getItem("twin-token") || ""; } catch { /* asked for again after a reload */ }

export class Refused extends Error {
  constructor(problem) {
    super(problem.title || "the request failed");
    Object.assign(this, problem);
  }
}

async function request(path, options = {}) {
  for (;;) {
    const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const answer = await fetch(path, { ...options, headers });
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({ title: `status ${answer.status}`, code: "no-problem" }));
    if (answer.status !== 401) throw new Refused(problem);
    await askForToken(token ? problem.title : "");
  }
}

let asking = null;
function askForToken(refused) {
  asking ||= new Promise((resolve) => {
    const dialog = $("token-dialog");
    $("token-refused").textContent = refused;
    dialog.addEventListener("close", () => {
      token = $("token").value.trim();
      try { sessionStorage.setItem("twin-token", token); } catch { /* kept in memory */ }
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
    $("token").focus();
  });
  return asking;
}

export const getJson = async (path) => (await request(path)).json();

export async function postJson(path, body) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (await request(path, options)).json();
}

export const twinPath = (twin, rest = "") => `/api/twins/${encodeURIComponent(twin)}${rest}`;

// Calls `take(kind, data)` for each event until the stream ends.
async function read(answer, take) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const block = rest.slice(0, end);
      rest = rest.slice(end + 2);
      let kind = "message", data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) kind = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) take(kind, JSON.parse(data));
    }
  }
}

export async function postStream(path, body, take) {
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  await read(await request(path, { method: "POST", body: JSON.stringify(body), headers }), take);
}

// Follows a twin until stopped; comes back by itself after each interruption. `connected(true|false, why)` says how it stands.
export function follow(path, take, connected) {
  const stop = new AbortController();
  (async () => {
    let pause = 500;
    while (!stop.signal.aborted) {
      try {
        const answer = await request(path, { signal: stop.signal });
        connected(true, "live");
        pause = 500;
        await read(answer, take);
        if (!stop.signal.aborted) connected(false, "reconnecting");
      } catch (error) {
        if (stop.signal.aborted) return;
        connected(false, error instanceof Refused ? error.message : "reconnecting");
      }
      await new Promise((resume) => setTimeout(resume, pause));
      pause = Math.min(pause * 2, 5000);
    }
  })();
  return () => stop.abort();
}
