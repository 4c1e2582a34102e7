// Loads copies of the plugin as OpenCode does, hands each the same objects, and ends as it is told.
import { readFileSync } from "node:fs"
import { pathToFileURL } from "node:url"

const [eventsFile, directory, end, ...copies] = process.argv.slice(2)
const loaded = []
for (const copy of copies) {
  const module = await import(pathToFileURL(copy).href)
  for (const make of Object.values(module)) loaded.push(await make({ directory }))
}
const odd = {
  circle: () => { const value = { sessionID: "s" }; value.self = value; return [value, value] },
  big: () => [{ sessionID: "s", tool: "bash" }, { args: { n: 1n } }],
  getter: () => [{ get sessionID() { throw new Error("no") } }, {}],
  nothing: () => [null, undefined],
}
let longest = 0
for (const line of readFileSync(eventsFile, "utf8").split("\n").filter(Boolean)) {
  const { hook, input, output, make } = JSON.parse(line)
  const [first, second] = make ? odd[make]() : [input, output]
  for (const hooks of loaded) {
    const began = process.hrtime.bigint()
    // The bus calls without waiting, and each with an envelope of its own.
    if (hook === "event") hooks.event({ event: make ? first : { ...first } })
    else await hooks[hook](first, second)
    const took = Number(process.hrtime.bigint() - began) / 1e6
    longest = Math.max(longest, took)
  }
}
if (end === "dispose") for (const hooks of loaded) await hooks.dispose()
if (end === "kill") process.kill(process.pid, "SIGKILL")
if (end === "leave") process.exit(longest > 1000 ? 9 : 0)
