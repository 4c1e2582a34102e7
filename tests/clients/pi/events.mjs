// Loads the extension as pi does, and gives it the events of a file, each to every copy of it.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [events, cwd, wait, ...copies] = process.argv.slice(2);
const handlers = [];
for (const copy of copies) {
  const { default: extension } = await import(pathToFileURL(copy).href);
  extension({ on: (name, handler) => handlers.push([name, handler]) });
}
const ctx = {
  cwd,
  model: { id: "mock-model" },
  sessionManager: {
    getSessionId: () => "s1",
    getSessionFile: () => "/home/dev/.pi/agent/sessions/--p--/t_s1.jsonl",
  },
};
for (const line of readFileSync(events, "utf8").trim().split("\n")) {
  const event = JSON.parse(line);
  if (event.number) event.number = BigInt(event.number);
  for (const [name, handler] of handlers) {
    const result = name === event.type ? await handler(event, ctx) : undefined;
    if (result !== undefined) throw new Error(`${name} returned something`);
  }
  if (wait === "turns") await new Promise((done) => setTimeout(done, 1));
}
process.exit(0);
