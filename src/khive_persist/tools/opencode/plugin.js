// Hands the events of a session to the khive-persist hook. What runs here runs in the client's own
// process: nothing in it may throw, print, or wait for anybody.
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { closeSync, existsSync, openSync, unlinkSync, writeSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { basename, isAbsolute, join } from "node:path"

const COMMAND = "@COMMAND@"
const MOST_RUNNING = 8
// So long a shell may take for each event before another one starts beside it: until then events
// are recorded in their order.
const IN_TURN_MS = 100
// The last one waits so long for those before it, and looks so often.
const MOST_TRIES = 100
const TRY_SECONDS = 0.05
const MOST_WAITING = 1000
const MOST_WAITING_BYTES = 64 << 20
const MOST_REMEMBERED = 1000
const MOST_PARENTS = 16

const EVENTS = new Set([
  "session.created", "session.deleted", "session.idle", "session.error", "session.compacted",
  "permission.asked", "permission.updated", "permission.replied", "question.asked",
  "question.replied", "question.rejected", "todo.updated",
])

// A client loads every copy of this file that it finds, and hands the same objects to each: the
// first copy that sees one sends it.
const SEEN = Symbol.for("khive-persist.seen")
const seen = (globalThis[SEEN] ??= new WeakMap())

function isNew(name, subject) {
  if (seen.get(subject) === name) return false
  seen.set(subject, name)
  return true
}

// The latest of what was noted, so that a client that runs for weeks holds no more.
class Memory extends Map {
  note(key, value) {
    this.delete(key)
    this.set(key, value)
    if (this.size > MOST_REMEMBERED) this.delete(this.keys().next().value)
  }
}

// Kilo is a fork of OpenCode, and tells its children that they run in OpenCode, too.
function clientName() {
  const isKilo =
    process.env.KILO_PID === String(process.pid) || basename(process.execPath).startsWith("kilo")
  return isKilo ? "kilo" : "opencode"
}

function databasePath(client) {
  const data = process.env.XDG_DATA_HOME || join(homedir(), ".local", "share")
  const named = process.env[client === "kilo" ? "KILO_DB" : "OPENCODE_DB"]
  if (named === ":memory:") return ""
  const folder = join(data, client)
  if (named) return isAbsolute(named) ? named : join(folder, named)
  return join(folder, `${client}.db`)
}

// A shell's commands that run the hook for each payload, one after another. JSON is one line, and
// what shells take for a mark of their own in it stands escaped.
function script(payloads, earlier) {
  const end = `end-${randomUUID()}`
  const turns = earlier.map((pid) => `n=0
while [ $n -lt ${MOST_TRIES} ] && kill -0 ${pid} 2>&-; do n=$((n + 1)); sleep ${TRY_SECONDS}; done
`)
  const texts = payloads.map((payload) => payload.replaceAll("\x7f", "\\u007f"))
  const runs = texts.map((text) => `(${COMMAND}) <<'${end}'\n${text}\n${end}\n`)
  return Buffer.from([...turns, ...runs].join(""))
}

// A file without a name: the shell reads it whole, whatever becomes of this process meanwhile.
function unnamedFile(bytes) {
  const path = join(tmpdir(), `khive-persist-${randomUUID()}`)
  const file = openSync(path, "wx+", 0o600)
  try {
    unlinkSync(path)
    // At places of its own, so that the shell, which shares the file's, begins at the first.
    let end = 0
    while (end < bytes.length) end += writeSync(file, bytes, end, bytes.length - end, end)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

class Sender {
  constructor(directory) {
    this.directory = directory
    this.waiting = []
    this.length = 0
    this.running = new Set()
    this.isLate = false
  }

  // Returns false where there is no room: the hooks are slower than the client.
  send(payload) {
    const isLarge = this.length + payload.length > MOST_WAITING_BYTES
    if (this.waiting.length > 0 && (isLarge || this.waiting.length >= MOST_WAITING)) return false
    this.waiting.push(payload)
    this.length += payload.length
    if (this.running.size === 0 || (this.isLate && this.running.size < MOST_RUNNING)) this.flush()
    return true
  }

  // What waits when the client ends is handed on at once, too: nobody would start it later. The
  // shell takes its turn by itself then.
  flush(isLast = false) {
    if (this.waiting.length === 0) return
    const payloads = this.waiting
    this.waiting = []
    this.length = 0
    try {
      const earlier = isLast ? [...this.running].map((child) => child.pid).filter(Boolean) : []
      this.start(script(payloads, earlier), payloads.length)
    } catch {
      // There is no shell, or no process to be had: the client goes on without being recorded.
    }
  }

  start(bytes, count) {
    let file = null
    try {
      file = unnamedFile(bytes)
    } catch {
      // No room for it: through a pipe it comes as far as this process lives.
    }
    try {
      const child = spawn("/bin/sh", [], {
        cwd: existsSync(this.directory) ? this.directory : homedir(),
        detached: true,
        stdio: [file ?? "pipe", "ignore", "ignore"],
      })
      this.watch(child, count)
      if (file === null) {
        child.stdin.on("error", () => {})
        child.stdin.end(bytes)
      }
      child.unref()
    } finally {
      if (file !== null) closeSync(file)
    }
  }

  watch(child, count) {
    this.running.add(child)
    this.isLate = false
    const timer = setTimeout(() => {
      this.isLate = true
      if (this.running.size < MOST_RUNNING) this.flush()
    }, IN_TURN_MS * count)
    timer.unref()
    const end = () => {
      clearTimeout(timer)
      if (this.running.delete(child)) this.flush()
    }
    child.on("error", end)
    child.on("exit", end)
  }
}

class Recorder {
  constructor(directory) {
    this.client = clientName()
    this.directory = directory
    this.database = databasePath(this.client)
    this.sender = new Sender(directory)
    this.sequence = 0
    this.dropped = 0
    this.parents = new Memory()
    this.titles = new Memory()
    this.ended = new Memory()
  }

  send(name, session, fields) {
    const head = { hook_event_name: name, client: this.client, ...this.sessionFields(session) }
    head.cwd = this.directory
    head.timestamp = Date.now()
    head.sequence = this.sequence += 1
    if (this.dropped > 0) head.dropped = this.dropped
    let text
    try {
      text = JSON.stringify({ ...head, ...fields })
    } catch (error) {
      text = JSON.stringify({ ...head, unserialised: String(error) })
    }
    this.dropped = this.sender.send(text) ? 0 : this.dropped + 1
  }

  // A subagent has a session of its own: it is recorded as an agent of the one that began.
  sessionFields(session) {
    if (typeof session !== "string") return {}
    let root = session
    for (let step = 0; step < MOST_PARENTS && this.parents.has(root); step += 1) {
      root = this.parents.get(root)
    }
    const fields = { session_id: root }
    if (root !== session) fields.agent_id = session
    if (this.database) fields.transcript_path = join(this.database, session)
    return fields
  }

  event(event) {
    const properties = event?.properties
    if (!properties || typeof properties !== "object" || !isNew(event.type, properties)) return
    const { info, part, sessionID } = properties
    const session = sessionID ?? info?.sessionID ?? part?.sessionID ?? info?.id
    if (event.type.startsWith("session.") && info?.parentID) {
      this.parents.note(info.id, info.parentID)
    }
    if (event.type === "session.created") this.isNews("session.updated", properties)
    if (event.type === "message.part.updated") this.part(event, part, session)
    else if (EVENTS.has(event.type) || this.isNews(event.type, properties)) {
      this.send(event.type, session, { event })
    }
  }

  // What is told again and again is sent where it says something that was not said before.
  isNews(type, { info, status }) {
    if (type === "session.updated") {
      const facts = [info.title, info.revert?.messageID, info.share?.url, info.time?.archived]
      const told = JSON.stringify(facts)
      const before = this.titles.get(info.id)
      this.titles.note(info.id, told)
      return before !== undefined && before !== told
    }
    if (type === "session.status") return status?.type === "retry"
    if (type !== "message.updated" || info?.role !== "assistant") return false
    return Boolean(info.time?.completed) && this.isFirst(info.id)
  }

  isFirst(id) {
    const isFirst = !this.ended.has(id)
    this.ended.note(id, true)
    return isFirst
  }

  // No hook is called after a call that failed or was refused.
  part(event, part, session) {
    if (part?.type !== "tool" || part.state?.status !== "error" || !this.isFirst(part.id)) return
    this.send(event.type, session, {
      tool_name: part.tool,
      tool_use_id: part.callID,
      tool_input: part.state.input,
      error: part.state.error,
      event,
    })
  }

  hook(name, input, output) {
    if (!input || typeof input !== "object" || !isNew(name, input)) return
    const { sessionID, tool, callID, args, ...others } = input
    if (!name.startsWith("tool.")) {
      this.send(name, sessionID, { ...prompt(name, output), input, output })
      return
    }
    const { args: changed, ...response } = name === "tool.execute.before" ? output : {}
    const fields = { tool_name: tool, tool_use_id: callID, tool_input: changed ?? args }
    if (name === "tool.execute.after") fields.tool_response = output
    else if (Object.keys(response).length > 0) fields.output = response
    if (Object.keys(others).length > 0) fields.input = others
    this.send(name, sessionID, fields)
  }
}

// The words of the user among the parts of a prompt, beside what the client adds.
function prompt(name, output) {
  const parts = name === "chat.message" && Array.isArray(output?.parts) ? output.parts : []
  const typed = parts.filter((part) => part?.type === "text" && !part.synthetic && part.text)
  return typed.length > 0 ? { prompt: typed.map((part) => part.text).join("\n") } : {}
}

const recorders = new Set()
process.on("exit", () => {
  for (const recorder of recorders) safely(() => recorder.sender.flush(true))
})

function safely(act) {
  try {
    act()
  } catch {
    // An event is lost, and the client goes on.
  }
}

export const KhivePersist = async ({ directory }) => {
  let recorder
  safely(() => {
    recorder = new Recorder(directory)
    recorders.add(recorder)
  })
  if (!recorder) return {}
  const hook = (name) => async (input, output) => safely(() => recorder.hook(name, input, output))
  return {
    event: async (input) => safely(() => recorder.event(input.event)),
    "chat.message": hook("chat.message"),
    "command.execute.before": hook("command.execute.before"),
    "tool.execute.before": hook("tool.execute.before"),
    "tool.execute.after": hook("tool.execute.after"),
    "experimental.session.compacting": hook("experimental.session.compacting"),
    dispose: async () => {
      safely(() => recorder.sender.flush(true))
      recorders.delete(recorder)
    },
  }
}
